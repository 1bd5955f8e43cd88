//! When a source is disabled, and when it is asked again.

use super::*;

#[tokio::test(start_paused = true)]
async fn after_three_failures_a_source_is_disabled_then_one_request_decides() {
    let (servers, pool) = one();
    servers.set(&a(LIST), status(429));
    for _ in 0..3 {
        assert_eq!(first(&pool).await, Ok(false));
    }
    assert_eq!((first(&pool).await, servers.times()), (Err(MS(500)), 3));
    advance(MS(500)).await;
    servers.set(&a(LIST), Reply { after: MS(40), ..status(200) });
    let asked = tokio::join!(first(&pool), first(&pool));
    assert_eq!(
        (asked, servers.times()),
        ((Ok(true), Err(MS(500))), 1),
        "one request is sent, the other one does not wait"
    );
    let asked = tokio::join!(first(&pool), first(&pool));
    assert_eq!((asked, servers.times()), ((Ok(true), Ok(true)), 2), "its answer was valid");
}

/// A scrape comes every 15 seconds or so; a breaker is open for ten at most.
#[tokio::test(start_paused = true)]
async fn a_source_that_failed_repeatedly_is_not_available_until_it_answers() {
    let (servers, pool) = one();
    let is_available = || pool.gauges(&Labels::default()).all(|source| source.is_available);
    servers.set(&a(LIST), status(429));
    for nth in 0..3 {
        assert!(is_available(), "after {nth} failures");
        assert_eq!(first(&pool).await, Ok(false));
    }
    advance(Duration::from_secs(60)).await;
    assert!(!is_available());
    servers.set(&a(LIST), status(200));
    assert_eq!(first(&pool).await, Ok(true));
    assert!(is_available());
}

/// A zip may take minutes.
#[tokio::test(start_paused = true)]
async fn a_source_is_back_when_the_head_of_an_answer_has_arrived() {
    const ZIP: &str = "/example.com/a/@v/v1.0.0.zip";
    let (servers, pool) = one();
    servers.set(&a(LIST), status(429));
    for _ in 0..3 {
        assert_eq!(first(&pool).await, Ok(false));
    }
    advance(MS(500)).await;
    servers.set(&a(LIST), status(200));
    servers.set(&a(ZIP), Reply { body_after: Duration::from_secs(20), ..status(200) });
    let download = async {
        let (sink, mut parts) = DownloadSink::new(None);
        let request = request(ZIP);
        let progress = Progress::new(pool.clock);
        tokio::join!(pool.download(FIRST, &request, &sink, &progress), async { while parts.recv().await.is_some() {} })
            .0
    };
    let other = async {
        tokio::time::sleep(MS(10)).await;
        (first(&pool).await, servers.times())
    };
    let result = tokio::select! {
        downloaded = download => panic!("{downloaded:?}"),
        other = other => other,
    };
    assert_eq!(result, (Ok(true), 5));
}

#[tokio::test(start_paused = true)]
async fn a_probe_without_an_answer_makes_room_for_another() {
    let (servers, pool) = one();
    servers.set(&a(LIST), status(429));
    for _ in 0..3 {
        assert_eq!(first(&pool).await, Ok(false));
    }
    advance(MS(500)).await;
    servers.set(&a(LIST), status(200));
    let slow = "/example.com/slow/@v/list";
    servers.set(&a(slow), Reply { after: Duration::from_secs(50), ..status(200) });
    let other = async {
        tokio::time::sleep(MS(1990)).await;
        let before = first(&pool).await;
        tokio::time::sleep(MS(20)).await;
        (before, first(&pool).await)
    };
    let slow = Wanted::from(&request(slow));
    let (slow, other) = tokio::join!(pool.small_from(FIRST, &slow), other);
    assert_eq!((slow.is_ok(), other), (true, (Err(MS(500)), Ok(true))));
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_when_a_source_goes_down_disable_it_once() {
    let (servers, pool) = one();
    servers.set(&a(LIST), Reply { after: MS(40), ..status(429) });
    let failed = futures_util::future::join_all((0..20).map(|_| first(&pool))).await;
    assert!(failed.iter().all(|answer| *answer == Ok(false)), "{failed:?}");
    assert_eq!((first(&pool).await, servers.times()), (Err(MS(500)), 20));
    advance(MS(500)).await;
    servers.set(&a(LIST), status(200));
    assert_eq!(first(&pool).await, Ok(true), "it is found when it works again");
}

#[tokio::test(start_paused = true)]
async fn after_a_cancelled_probe_another_request_is_the_probe() {
    let (servers, pool) = one();
    servers.set(&a(LIST), status(500));
    for _ in 0..3 {
        assert_eq!(first(&pool).await, Ok(false));
    }
    advance(MS(500)).await;
    servers.set(&a(LIST), Reply { after: MS(40), ..status(200) });
    assert!(tokio::time::timeout(MS(10), first(&pool)).await.is_err());
    assert_eq!(first(&pool).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_an_earlier_request_does_not_end_a_pause() {
    let (servers, pool) = one();
    let slow = "/example.com/slow/@v/list";
    servers.set(&a(slow), Reply { after: MS(1000), ..status(200) });
    let paused = async {
        tokio::time::sleep(MS(100)).await;
        servers.set(&a(LIST), Reply { retry_after: Some(7), ..status(429) });
        first(&pool).await
    };
    let slow = Wanted::from(&request(slow));
    let (slow, paused) = tokio::join!(pool.small_from(FIRST, &slow), paused);
    assert_eq!((slow.is_ok(), paused), (true, Ok(false)));
    assert!(first(&pool).await.is_err_and(|left| left > Duration::from_secs(6)), "it asked for seven seconds");
}

#[tokio::test(start_paused = true)]
async fn silence_for_one_module_does_not_keep_others_from_being_asked() {
    let (servers, pool) = one();
    let ask_often = async |path: &str, reply| {
        servers.set(&a(path), reply);
        let wanted = Wanted::from(&request(path));
        for _ in 0..5 {
            assert!(pool.small_from(FIRST, &wanted).await.is_err());
        }
    };
    servers.set(&a(LIST), status(200));
    for path in ["/example.com/m/x/@v/list", "/example.com/m/@latest", "/example.com/m/x/@v/v1.0.0.info"] {
        ask_often(path, silent()).await;
    }
    assert_eq!(first(&pool).await, Ok(true));
    // The head of an answer shows that the source works.
    for nth in 0..5 {
        let stalls = Reply { body_after: Duration::from_secs(3600), ..status(200) };
        ask_often(&format!("/example.com/stalls{nth}/@v/list"), stalls).await;
    }
    assert_eq!(first(&pool).await, Ok(true));
    ask_often("/example.com/m/@v/list", silent()).await;
    ask_often("/example.com/n/@v/list", silent()).await;
    assert!(first(&pool).await.is_err(), "two modules, and no success");
}

/// Who is slower than another source may still be the only one that has the next file.
#[tokio::test(start_paused = true)]
async fn a_source_that_is_overtaken_is_not_disabled() {
    const B: &str = "https://b.example";
    let slow_head = Reply { after: MS(1500), ..status(200) };
    let slow_body = Reply { after: MS(10), body_after: MS(1500), ..status(200) };
    for (reply, waits_for_slot, ranks_lower) in
        [(slow_head, false, true), (slow_body, false, false), (status(200), true, false)]
    {
        let (servers, pool) = two();
        let pool = UpstreamPool { hedged: true, ..pool };
        let rank = |id| pool.at(id).health(|health, now| health.rank(now, 1.0));
        let before = rank(FIRST);
        let slots = &pool.at(FIRST).small_slots;
        let _held = if waits_for_slot { Some(slots.take_all(64).await) } else { None };
        for nth in 0..6 {
            let path = format!("/example.com/m{nth}/@v/list");
            servers.set(&a(&path), reply);
            servers.set(&format!("{B}{path}"), status(200));
            let won = pool.small(&request(&path), Ok::<_, String>).await.unwrap();
            assert_eq!(won.source, SECOND);
        }
        let is_open = pool.at(FIRST).health(|health, now| health.breaker.is_open(now));
        assert_eq!((is_open, rank(FIRST) > before), (false, ranks_lower), "{reply:?}");
    }
}
