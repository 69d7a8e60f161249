use super::*;

#[test]
fn a_page_names_every_counter_once_and_every_shard_under_it() {
    let shards = [ShardMetrics::new(ShardId(0)), ShardMetrics::new(ShardId(1))];
    shards[0].add(Count::ProduceRecords, 7);
    shards[1].add(Count::ProduceRecords, 5);
    shards[1].time(Stage::ProduceTotal, Duration::from_millis(2));
    let gauges = Gauges(vec![("corelog_partitions", "Partitions owned.", 3.0)]);
    let snapshots = shards.each_ref().map(|shard| shard.snapshot(gauges.clone()));

    let page = exposition(&snapshots);
    for (name, _) in COUNTERS {
        assert_eq!(page.matches(&format!("# TYPE {name} counter")).count(), 1, "{name}");
    }
    assert!(page.contains("corelog_produce_records_total{shard=\"0\"} 7\n"), "{page}");
    assert!(page.contains("corelog_produce_records_total{shard=\"1\"} 5\n"), "{page}");
    assert!(page.contains("corelog_partitions{shard=\"1\"} 3\n"), "{page}");
    let total =
        "corelog_request_stage_seconds{api=\"produce\",stage=\"total\",quantile=\"1\"} 0.00";
    assert!(page.contains(total), "{page}");
}
