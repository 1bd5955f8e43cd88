//! The figures of the overview: what clients got, and how the log grew.

use libtest_mimic::Trial;
use serde_json::Value;
use testkit::Fault;

use crate::ages::remember;
use crate::fixture::{Mirror, get, trial};
use crate::page::{html, start};

const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";
const MOD: &str = "/example.com/hello/@v/v1.0.0.mod";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("page, overview: it counts what clients got, and what needed no download", activity),
        trial("page, overview: it draws how the log grew", growth),
    ]
}

fn overview(mirror: &Mirror) -> Value {
    serde_json::from_slice(&get(&mirror.url, "/-/api/v1/overview").body).unwrap()
}

fn activity() {
    let (origin, _folder, mirror) = start(&[]);
    let new = html(&mirror, "/").text();
    assert!(new.contains("last hour") && new.contains("<td>–</td>"), "{new}");
    for path in [ZIP, ZIP, MOD, MOD, MOD] {
        assert_eq!(get(&mirror.url, path).status, 200, "{path}");
    }
    // Neither a file nor a refusal.
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/list").status, 200);
    assert_eq!(get(&mirror.url, "/example.com/hello/@v/v1.9.9.zip").status, 404);
    let forged = "/example.com/hello/@v/v1.1.0.zip";
    origin.misbehave(forged, Fault::Body("not a zip".into()));
    assert_eq!(get(&mirror.url, forged).status, 403);
    let counted = serde_json::json!({"served": 5, "downloaded": 2, "refused": 1, "failed": 0});
    let activity = &overview(&mirror)["activity"];
    assert_eq!((&activity["last_hour"], &activity["last_day"]), (&counted, &counted));
    let page = html(&mirror, "/").text();
    assert!(page.contains("<td>60 %</td>") && page.contains("This mirror started less than a minute ago"), "{page}");
}

fn growth() {
    let (origin, folder, mirror) = start(&[]);
    assert_eq!(get(&mirror.url, ZIP).status, 200);
    assert!(!html(&mirror, "/").text().contains("Growth: "), "one time is no curve");
    drop(mirror);
    let (data, size) = (folder.path().join("data"), origin.world().size());
    remember(&data, &[(10, size - 7), (4, size - 2)]);
    let mirror = Mirror::start_with(&data, &["--upstream", &origin.url(), "--sumdb", &origin.gosumdb()]);
    let growth = overview(&mirror)["databases"][0]["growth"].clone();
    let sizes: Vec<u64> = growth.as_array().unwrap().iter().map(|at| at["tree_size"].as_u64().unwrap()).collect();
    assert_eq!(sizes, [size - 7, size - 2, size], "{growth}");
    let page = html(&mirror, "/").text();
    assert!(page.contains(&format!("Growth: {} records on ", size - 7)) && page.contains("class=\"curve\""), "{page}");
}
