//! A cluster: three masters that share all slots, without replicas.

use super::Redis;
use crate::support::eventually;

/// The first and the last slot of each master.
const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

/// A running cluster; killed when dropped.
pub(crate) struct RedisCluster {
    /// Its masters, by ascending slots.
    pub(crate) nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts one and waits until every master says that all slots are served.
    pub(crate) async fn start(name: &str) -> Self {
        let mut nodes = Vec::new();
        for (number, (first, last)) in SLOTS.into_iter().enumerate() {
            let settings = [
                "--cluster-enabled",
                "yes",
                // else none knows its own address until another has told it
                "--cluster-announce-ip",
                "127.0.0.1",
                // one that is killed is soon missed
                "--cluster-node-timeout",
                "2000",
            ];
            let node = Redis::start_with(&format!("{name}-{number}"), &settings).await;
            for words in [
                ["CLUSTER", "ADDSLOTSRANGE", first, last].as_slice(),
                // else all begin with the same epoch and have to settle it
                &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()],
            ] {
                assert_eq!(node.command(words), "OK", "{words:?}");
            }
            nodes.push(node);
        }
        let cluster = Self { nodes };
        cluster.introduce();
        eventually("the cluster serves all slots", async || {
            cluster.nodes.iter().all(serves_all).then_some(())
        })
        .await;
        cluster
    }

    /// Each to each, since hearsay takes its time.
    fn introduce(&self) {
        for node in &self.nodes {
            for other in self.nodes.iter().filter(|other| other.address() != node.address()) {
                let port = other.address().port().to_string();
                assert_eq!(node.command(&["CLUSTER", "MEET", "127.0.0.1", &port]), "OK");
            }
        }
    }

    /// The addresses of all masters, as `127.0.0.1:7000,127.0.0.1:7001,127.0.0.1:7002`.
    pub(crate) fn url_hosts(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(|node| node.address().to_string()).collect();
        hosts.join(",")
    }
}

fn serves_all(node: &Redis) -> bool {
    let info = node.command(&["CLUSTER", "INFO"]);
    ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_size:3"]
        .iter()
        .all(|wanted| info.lines().any(|line| line == *wanted))
}
