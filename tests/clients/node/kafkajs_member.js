// A member of a consumer group: kafkajs_member.js BOOTSTRAP GROUP TOPIC
//
// It says on standard output what happens, a line each: "A" after an assignment, "R partition offset key" for a record,
// "C" after a commit, "E reason" for an error that it goes on after. It leaves the group when standard input ends.
'use strict'

const path = require('path')
const { Kafka, logLevel } = require(path.join(process.env.NODE_MODULES, 'kafkajs'))

const say = (line) => process.stdout.write(line + '\n')

async function main() {
  const [bootstrap, groupId, topic] = process.argv.slice(2)
  const retry = { retries: 100, maxRetryTime: 1000 }
  const kafka = new Kafka({ clientId: 'kafkajs', brokers: [bootstrap], logLevel: logLevel.NOTHING, retry })
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 500, maxWaitTimeInMs: 200, retry })
  consumer.on(consumer.events.GROUP_JOIN, () => say('A'))
  consumer.on(consumer.events.CRASH, ({ payload }) => say('E ' + payload.error))
  process.stdin.resume()
  process.stdin.on('end', async () => {
    await consumer.disconnect()
    process.exit(0)
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat, isRunning, isStale }) => {
      let next = null
      for (const message of batch.messages) {
        if (!isRunning() || isStale()) break
        say(`R ${batch.partition} ${message.offset} ${message.key}`)
        resolveOffset(message.offset)
        next = String(BigInt(message.offset) + 1n)
      }
      if (next !== null) {
        await consumer.commitOffsets([{ topic, partition: batch.partition, offset: next }])
        say('C')
      }
      await heartbeat()
    },
  })
}

main().catch((error) => {
  say('E ' + error)
  process.exit(1)
})
