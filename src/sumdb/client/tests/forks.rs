//! A database that signs two histories.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_fork_writes_evidence_and_stops_new_proofs() {
    let bench = Bench::new();
    let client = bench.client();
    client.lookup(&hello()).await.unwrap();
    let size = usize::try_from(bench.script().world.size()).unwrap();
    let fork = bench.script().world.fork(size - 100, 200);
    bench.script().world = fork;
    let kept = bench.tiles();
    assert!(!kept.is_empty());
    assert_eq!(client.refresh().await.unwrap_err().fault(), Fault::Misbehaviour);
    let evidence = std::fs::read_to_string(client.fork().unwrap()).unwrap();
    assert!(evidence.starts_with("sumgate fork evidence v1\n"), "{evidence}");
    assert_eq!(bench.tiles(), kept, "no tile of the other history is kept");
    bench.script().asked.clear();
    let other = ModuleVersion::parse("example.com/dep/v2@v2.0.1").unwrap();
    // Also in a later process. What was proved before stays proved.
    for client in [client, bench.client()] {
        assert_eq!(client.lookup(&other).await.unwrap_err().fault(), Fault::Misbehaviour);
        client.lookup(&hello()).await.unwrap();
    }
    assert_eq!(bench.script().asked, Vec::new());
}

#[tokio::test(start_paused = true)]
async fn a_fork_ends_the_lookups_that_wait_for_their_proof() {
    let bench = Bench::new();
    let client = bench.client();
    client.lookup(&ModuleVersion::parse("example.com/hello@v1.1.0").unwrap()).await.unwrap();
    let innocent = ModuleVersion::parse("example.com/dep/v2@v2.0.1").unwrap();
    {
        let mut script = bench.script();
        let size = usize::try_from(script.world.size()).unwrap();
        let fork = script.world.fork(size - 100, 200);
        let honest = std::mem::replace(&mut script.world, fork);
        script.other = Some((innocent.clone(), honest));
        script.slow = Some(("/tile/", Duration::from_millis(400)));
    }
    // While the one under the other head is proved, an honest reply arrives, for which all tiles are stored; and then one more of
    // the other history.
    let (first, last) = (hello(), ModuleVersion::parse("example.com/Upper/CaseMod@v1.2.3").unwrap());
    let later = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        tokio::join!(client.lookup(&innocent), client.lookup(&last))
    };
    let (first, (innocent, last)) = tokio::join!(client.lookup(&first), later);
    for answer in [first, innocent, last] {
        assert_eq!(answer.unwrap_err().fault(), Fault::Misbehaviour);
    }
}
