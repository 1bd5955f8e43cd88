//! Whether a source of private modules accepted the login: its "not found" counts only then.

use super::*;
use crate::upstream::scope::Scope;

/// `https://user:word@a.example` for `corp.example/*`.
fn private() -> (Arc<Servers>, UpstreamPool) {
    let config = UpstreamConfig {
        scope: Scope::Private(gomodule::module::Patterns::parse("corp.example/*").unwrap()),
        ..UpstreamConfig::plain(Source::parse("https://user:word@a.example").unwrap(), false)
    };
    pool(&[config])
}

fn is_hidden<T>(answer: &Result<T, UpstreamError>) -> bool {
    matches!(answer, Err(UpstreamError::Source(_, SourceFailure::Hidden(_))))
}

#[tokio::test(start_paused = true)]
async fn lists_that_may_show_an_accepted_login_are_asked_for_once() {
    let (servers, pool) = private();
    let paths: Vec<_> = (0..20).map(|nth| format!("/corp.example/a/b/@v/v1.0.{nth}.info")).collect();
    let answers = futures_util::future::join_all(paths.iter().map(|path| ask(&pool, path))).await;
    assert!(answers.iter().all(is_hidden), "{answers:?}");
    assert_eq!(servers.asked_below(&a("/corp.example/a/b/@v/list")), 1);
    assert_eq!(servers.asked_below(&a("/corp.example/a/@v/list")), 1);
    // Later they are asked for again.
    advance(Duration::from_secs(60)).await;
    servers.set(&a("/corp.example/a/@v/list"), status(200));
    assert!(matches!(ask(&pool, &paths[0]).await, Err(UpstreamError::Nowhere(_))));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_for_one_list_is_not_asked_for_more() {
    let (servers, pool) = private();
    servers.set(&a("/corp.example/a/b/@v/list"), Reply { after: Duration::from_secs(5), ..status(500) });
    assert!(is_hidden(&ask(&pool, "/corp.example/a/b/@v/v1.0.0.info").await));
    assert_eq!(servers.times(), 2, "the file, and the first list");
    // A list that hangs.
    let (servers, pool) = private();
    servers.set(&a("/corp.example/a/b/@v/list"), silent());
    let start = Instant::now();
    assert!(is_hidden(&ask(&pool, "/corp.example/a/b/@v/v1.0.0.info").await));
    assert_eq!(servers.times(), 2);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn lists_are_asked_for_within_the_limits_of_the_source() {
    let (servers, pool) = private();
    let held = async {
        tokio::time::sleep(MS(1)).await;
        let slots = pool.at(FIRST).small_slots.take_all(64).await;
        tokio::time::sleep(MS(500)).await;
        drop(slots);
    };
    let info = "/corp.example/a/@v/v1.0.0.info";
    servers.set(&a(info), Reply { after: MS(100), ..status(404) });
    let start = Instant::now();
    let ((), answer) = tokio::join!(held, ask(&pool, info));
    assert!(is_hidden(&answer));
    let asked = servers.asked();
    assert!(asked[1] - start >= MS(500), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_another_server_does_not_show_an_accepted_login() {
    const INFO: &str = "/corp.example/a/@v/v1.0.0.info";
    for elsewhere in [true, false] {
        let (servers, pool) = private();
        servers.set(&a("/corp.example/a/@v/list"), Reply { elsewhere, ..status(200) });
        assert_eq!(is_hidden(&ask(&pool, INFO).await), elsewhere);
        let (servers, pool) = private();
        servers.set(&a("/corp.example/a/@v/list"), Reply { elsewhere, ..status(200) });
        assert!(ask(&pool, "/corp.example/a/@v/list").await.is_ok());
        servers.set(&a("/corp.example/a/@v/list"), status(404));
        assert_eq!(is_hidden(&ask(&pool, INFO).await), elsewhere, "nor one to a client");
    }
    for body in ["<html>\nv1.0.0\n</html>\n", "\u{feff}<html>\nv1.0.0\n", " \n<pre>\nv1.0.0\n"] {
        let (servers, pool) = private();
        servers.set(&a("/corp.example/a/@v/list"), Reply { body: Some(body), ..status(200) });
        assert!(is_hidden(&ask(&pool, INFO).await), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_counts_as_accepted_for_ten_minutes() {
    let (servers, pool) = private();
    let [list, absent, later] =
        ["/corp.example/a/@v/list", "/corp.example/a/@v/v1.0.0.info", "/corp.example/a/@v/v1.1.0.info"];
    assert!(
        matches!(ask(&pool, absent).await, Err(UpstreamError::Source(_, SourceFailure::Hidden(_)))),
        "the login was never accepted"
    );
    servers.set(&a(list), status(200));
    assert!(ask(&pool, list).await.is_ok());
    servers.set(&a(list), status(404));
    advance(Duration::from_secs(10 * 60)).await;
    assert!(matches!(ask(&pool, absent).await, Err(UpstreamError::Nowhere(_))));
    advance(MS(1)).await;
    assert!(matches!(ask(&pool, later).await, Err(UpstreamError::Source(_, SourceFailure::Hidden(_)))));
    servers.set(&a(list), status(200));
    advance(Duration::from_secs(5)).await;
    assert!(matches!(ask(&pool, later).await, Err(UpstreamError::Nowhere(_))), "it serves a list for this login");
}
