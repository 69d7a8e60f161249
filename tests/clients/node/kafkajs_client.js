// kafkajs: producing only, and only the codecs it has built in.
'use strict'

const fs = require('fs')
const path = require('path')
const modules = process.env.NODE_MODULES
const { Kafka, CompressionTypes, logLevel } = require(path.join(modules, 'kafkajs'))
const { version } = require(path.join(modules, 'kafkajs', 'package.json'))

const BATCH = 500

function headersOf(topic, index) {
  return { topic, note: 'grüße', seq: String(index) }
}

async function produce(kafka, task, rows, spec) {
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  try {
    const compression = spec.codec === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None
    for (let from = 0; from < rows.length; from += BATCH) {
      const messages = rows.slice(from, from + BATCH).map((row, i) => ({
        key: row.k,
        value: row.v,
        partition: row.p,
        timestamp: String(row.t),
        headers: headersOf(spec.topic, from + i),
      }))
      await producer.send({ topic: spec.topic, acks: -1, compression, messages })
    }
    return ''
  } catch (error) {
    return String(error)
  } finally {
    await producer.disconnect()
  }
}

async function main() {
  const task = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'))
  const lines = fs.readFileSync(task.records, 'utf8').split('\n')
  const rows = lines.filter((line) => line).map((line) => JSON.parse(line))
  const kafka = new Kafka({ clientId: 'kafkajs', brokers: [task.bootstrap], logLevel: logLevel.ERROR })
  const admin = kafka.admin()
  await admin.connect()
  const topics = task.topics.map((spec) => ({ topic: spec.topic, numPartitions: task.partitions, replicationFactor: 1 }))
  await admin.createTopics({ topics, waitForLeaders: true })
  await admin.disconnect()

  const results = []
  for (const spec of task.topics) {
    const started = Date.now()
    const detail = await produce(kafka, task, rows, spec)
    results.push({ topic: spec.topic, ok: detail === '', detail, records: rows.length, ms: Date.now() - started })
  }
  fs.writeFileSync(process.argv[3], JSON.stringify({ client: 'kafkajs', version, results }))
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
