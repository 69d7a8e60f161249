use clap::Parser;

use super::*;
use crate::args::{Cli, Command};

fn args(line: &str) -> DevArgs {
    let cli = Cli::try_parse_from(line.split_whitespace()).expect("the line is right");
    match cli.command {
        Command::Dev(args) => args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let config = merge(&args("corelog dev"), FileConfig::default()).unwrap();
    assert_eq!(config.dir, Path::new("./corelog-data"));
    let addresses = [config.kafka, config.native, config.admin].map(|it| it.to_string());
    assert_eq!(addresses, ["127.0.0.1:9092", "127.0.0.1:9192", "127.0.0.1:9644"]);
    assert_eq!(config.journal_bytes, 512 << 20);
    assert_eq!(config.shards, runtime::cpu_count());
    assert!(config.memory_bytes > 0 && !config.any_file_system);
}

#[test]
fn flags_win_over_the_file_and_the_file_over_the_defaults() {
    let text = "dir = '/file'\nshards = 3\nmemory = '1GiB'\nkafka = '127.0.0.1:1'\n\
                [defaults]\n'log.retention.hours' = 72\n";
    let file = FileConfig::parse(text).unwrap();
    let flags = args("corelog dev --dir /flag --memory 2GiB --advertise host:77");
    let config = merge(&flags, file).unwrap();
    assert_eq!(config.dir, Path::new("/flag"));
    assert_eq!((config.shards, config.memory_bytes), (3, 2 << 30));
    assert_eq!(config.kafka.port(), 1);
    assert_eq!(config.advertise, Some(("host".to_owned(), 77)));
    assert_eq!(config.kafka_settings["log.retention.hours"], "72");
}

#[test]
fn what_cannot_be_is_said_in_one_line() {
    for line in ["--kafka nowhere", "--shards 0", "--advertise host", "--kafka 127.0.0.1:99999"] {
        let error = merge(&args(&format!("corelog dev {line}")), FileConfig::default());
        let text = error.map(|_| ()).unwrap_err().to_string();
        assert!(!text.is_empty() && !text.contains('\n'), "{line}: {text}");
    }
}
