// rdkafka (Rust) as members of groups, one thread each: ../README.md has the commands.
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, ClientContext, Message, Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn line(kind: &str, member: &str, rest: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    format!("{now} {kind} {member}{rest}\n")
}

fn say(lines: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(lines.as_bytes()).unwrap();
    out.flush().unwrap();
}

struct Member {
    name: String,
    owned: Mutex<BTreeSet<i32>>,
    rebalanced: AtomicBool, // since the last commit
}

impl ClientContext for Member {}

impl ConsumerContext for Member {
    fn pre_rebalance<'a>(&self, rebalance: &Rebalance<'a>) {
        let mut owned = self.owned.lock().unwrap();
        match rebalance {
            Rebalance::Assign(list) | Rebalance::Revoke(list) if list.count() == 0 => {} // elements() does not bear it
            Rebalance::Assign(list) => owned.extend(list.elements().iter().map(|each| each.partition())),
            Rebalance::Revoke(list) => list.elements().iter().for_each(|each| {
                owned.remove(&each.partition());
            }),
            Rebalance::Error(_) => {}
        }
        let partitions: String = owned.iter().map(|partition| format!(" {partition}")).collect();
        say(&line("owns", &self.name, &partitions));
        self.rebalanced.store(true, Ordering::Relaxed);
    }
}

fn start(address: &str, words: &[String]) -> Result<BaseConsumer<Member>, KafkaError> {
    let mut config = ClientConfig::new();
    for (name, value) in [
        ("bootstrap.servers", address),
        ("client.id", &words[1]),
        ("group.id", &words[2]),
        ("partition.assignment.strategy", &words[4]),
        ("session.timeout.ms", &words[6]),
        ("heartbeat.interval.ms", "300"),
        ("max.poll.interval.ms", "60000"),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        ("reconnect.backoff.max.ms", "200"),
        ("log_level", "2"),
    ] {
        config.set(name, value);
    }
    if words[5] != "-" {
        config.set("group.instance.id", &words[5]);
    }
    let member = Member { name: words[1].clone(), owned: Mutex::default(), rebalanced: AtomicBool::new(false) };
    let consumer: BaseConsumer<Member> = config.create_with_context(member)?;
    consumer.subscribe(&[&words[3]])?;
    Ok(consumer)
}

/// Some records, each one said, and the positions after them. It ends with a rebalance: a position must not be committed long after one.
fn read(consumer: &BaseConsumer<Member>, name: &str) -> BTreeMap<i32, i64> {
    let mut positions = BTreeMap::new();
    let mut lines = String::new();
    consumer.context().rebalanced.store(false, Ordering::Relaxed);
    for i in 0..500 {
        match consumer.poll(Duration::from_millis(if i == 0 { 100 } else { 0 })) {
            Some(Ok(record)) => {
                let value = String::from_utf8_lossy(record.payload().unwrap_or_default());
                lines += &line("got", name, &format!(" {} {} {value}", record.partition(), record.offset()));
                positions.insert(record.partition(), record.offset() + 1);
            }
            Some(Err(_)) => {} // a lost connection: librdkafka goes on
            None => break,
        }
        if consumer.context().rebalanced.load(Ordering::Relaxed) {
            break;
        }
    }
    say(&lines);
    positions
}

fn consume(address: &str, words: &[String], leaving: &AtomicBool) -> Result<(), KafkaError> {
    let consumer = start(address, words)?;
    let name = &words[1];
    while !leaving.load(Ordering::Relaxed) {
        let positions = read(&consumer, name);
        if positions.is_empty() {
            continue;
        }
        let mut list = TopicPartitionList::new();
        for (partition, offset) in &positions {
            list.add_partition_offset(&words[3], *partition, Offset::Offset(*offset))?;
        }
        // If it fails, whoever has the partitions next reads these again, or the next commit covers them.
        if consumer.commit(&list, CommitMode::Sync).is_ok() {
            let lines: Vec<String> =
                positions.iter().map(|(partition, offset)| line("committed", name, &format!(" {partition} {offset}"))).collect();
            say(&lines.concat());
        }
    }
    Ok(())
}

fn main() {
    let address = std::env::args().nth(1).expect("usage: rdkafka_members ADDRESS");
    let mut leave: HashMap<String, Arc<AtomicBool>> = HashMap::new();
    for command in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<String> = command.split(' ').map(String::from).collect();
        if words[0] == "leave" {
            leave[&words[1]].store(true, Ordering::Relaxed);
            continue;
        }
        let leaving = Arc::new(AtomicBool::new(false));
        leave.insert(words[1].clone(), leaving.clone());
        let address = address.clone();
        std::thread::spawn(move || match consume(&address, &words, &leaving) {
            Ok(()) => say(&line("left", &words[1], "")),
            Err(error) => say(&line("failed", &words[1], &format!(" {error}"))),
        });
    }
    std::process::exit(0);
}
