//! `sumgate audit`: unusual records.

use libtest_mimic::Trial;
use testkit::{Fault, World};

use crate::audit::{audit, findings, home, honest, line_of};
use crate::fixture::{origin, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("audit: a hash of another version is reported as such", shared_hash),
        trial("audit: a record with only a go.mod hash proves no zip", half_record),
    ]
}

/// Two versions of a module often have the same go.mod: then the finding says that the hash is that of several versions.
fn shared_hash() {
    let mut world = World::demo();
    world.add_simple("example.com/hello@v1.0.1", "", "package hello\n");
    let origin = origin(world);
    let home = home(&origin);
    let lines = honest(&origin);
    let good = line_of(&lines, "example.com/hello v1.0.1/go.mod ");
    let dep = line_of(&lines, "example.com/dep/v2 v2.0.1 ");
    let wrong = format!("example.com/hello v1.0.0/go.mod {}", dep.rsplit(' ').next().unwrap());
    home.write("go.sum", &[good, dep, &wrong].join("\n"));
    let (code, output) = audit(&home, &[]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("the found hash is   the proved one of example.com/dep/v2@v2.0.1"), "{output}");
    assert!(output.contains("the proved hash is  also that of example.com/hello@v1.0.1"), "{output}");
}

fn half_record() {
    let mut world = World::demo();
    let hash = "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=";
    let text = format!("example.com/half v1.0.0/go.mod {hash}\n");
    let id = world.append(text.clone());
    let reply = format!("{id}\n{text}\n{}", world.head_at(world.size()).unwrap());
    let origin = origin(world);
    origin.misbehave("/lookup/example.com/half@v1.0.0", Fault::Body(reply.into()));
    let home = home(&origin);
    home.write("go.sum", &format!("{text}example.com/half v1.0.0 {hash}\n"));
    assert_eq!(findings(&home, &[]), (Some(1), vec![("unknown-version".to_owned(), "go.sum".to_owned(), 2)]));
    let (_, output) = audit(&home, &[]);
    assert!(output.contains("has no hash for example.com/half@v1.0.0") && output.contains("1 proved"), "{output}");
}
