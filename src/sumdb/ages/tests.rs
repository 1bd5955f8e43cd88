//! Ages by hand and against a naive model; which lines count; wrong clocks.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

const DAY: u64 = 86_400;

fn day(n: u64) -> SystemTime {
    UNIX_EPOCH + days(n)
}

fn days(n: u64) -> Duration {
    Duration::from_secs(n * DAY)
}

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(second)
}

/// Lines of `day size`.
fn lines(seen: &[(u64, u64)]) -> String {
    seen.iter().map(|(day, size)| format!("{} {size}\n", day * DAY)).collect()
}

fn read(seen: &[(u64, u64)], now: SystemTime) -> Ages {
    Ages::read(&lines(seen), &[], now).0
}

/// What counts, as `(day, size)`.
fn counted(ages: &Ages) -> Vec<(u64, u64)> {
    ages.seen.iter().map(|seen| (seen.at / DAY, seen.size)).collect()
}

fn messages(dropped: &Dropped) -> Vec<String> {
    dropped.messages().collect()
}

#[test]
fn a_record_is_as_old_as_the_first_tree_that_was_seen_with_it() {
    let mut ages = Ages::default();
    assert!(ages.add(10, day(90)).0 && ages.add(20, day(95)).0);
    let age = |id| ages.age(id, days(5), day(100));
    assert_eq!(age(9), Age::AtLeast(days(10)));
    // Record 10 is the first that the tree of 10 records does not have.
    assert_eq!(age(10), Age::AtLeast(days(5)));
    assert_eq!(age(20), Age::AtLeast(days(0)));
}

#[test]
fn only_what_no_evidence_covers_can_be_unknown() {
    let ages = read(&[(10, 100), (40, 200), (45, 300)], day(100));
    // Evidence of any age makes old.
    assert_eq!(ages.age(99, days(7), day(100)), Age::AtLeast(days(90)));
    assert_eq!(ages.age(250, days(7), day(100)), Age::AtLeast(days(55)));
    // Nothing covers it, and the newest evidence is 55 days old: more than twice 7 or 27, and not more than twice 28.
    assert_eq!(ages.age(300, days(7), day(100)), Age::Unknown);
    assert_eq!(ages.age(300, days(27), day(100)), Age::Unknown);
    assert_eq!(ages.age(300, days(28), day(100)), Age::AtLeast(days(0)));
    // What is younger than required is no evidence: with 56 days the newest of it is that of day 40.
    assert_eq!(ages.age(200, days(56), day(100)), Age::AtLeast(days(55)));
    assert_eq!(ages.age(250, days(91), day(100)), Age::Unknown, "there is none");
    assert_eq!(Ages::default().age(0, days(7), day(100)), Age::Unknown, "there is none");
    assert_eq!(Ages::default().age(0, days(0), day(100)), Age::AtLeast(days(0)), "nothing is required");
}

#[test]
fn a_new_installation_of_the_public_database_knows_what_is_old_and_not_what_is_new() {
    let (ages, _) = Ages::read("", &SUM_GOLANG_ORG, day(0));
    let newest = SUM_GOLANG_ORG[2];
    let later = |days: u64| at(newest.at + days * DAY);
    let age = |id, since| ages.age(id, days(7), later(since));
    assert_eq!(age(newest.size - 1, 10), Age::AtLeast(days(10)));
    assert_eq!(age(newest.size - 1, 10_000), Age::AtLeast(days(10_000)));
    assert_eq!(age(newest.size, 14), Age::AtLeast(days(0)), "young");
    assert_eq!(age(newest.size, 15), Age::Unknown);
}

#[test]
fn age_agrees_with_a_naive_model() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut ends = [0_u32; 3];
    for round in 0..20_000 {
        // A log that grows, seen at some times of which the table has some.
        let mut log: Vec<Seen> = (0..random.usize(0..12)).map(|_| Seen { at: random.u64(0..60), size: 0 }).collect();
        log.sort_unstable();
        let mut size = 0;
        for seen in &mut log {
            size += random.u64(0..4);
            seen.size = size;
        }
        let (known, seen): (Vec<Seen>, Vec<Seen>) = log.iter().copied().partition(|_| random.bool());
        let (min, now, id) = (random.u64(0..20), random.u64(0..80), random.u64(0..=size));
        let ages = Ages { known, seen, ..Ages::default() };

        let covers: Vec<u64> = log.iter().filter(|seen| seen.size > id).map(|seen| seen.at).collect();
        let evidence: Vec<&Seen> = log.iter().filter(|seen| seen.at + min <= now).collect();
        let best = covers.iter().map(|at| now.saturating_sub(*at)).max().unwrap_or(0);
        let is_old = min == 0 || evidence.iter().any(|seen| seen.size > id);
        let newest = evidence.iter().map(|seen| now - seen.at).min();
        let expected = match (is_old, newest) {
            (false, None) => Age::Unknown,
            (false, Some(newest)) if newest > 2 * min => Age::Unknown,
            _ => Age::AtLeast(Duration::from_secs(best)),
        };
        let found = ages.age(id, Duration::from_secs(min), at(now));
        assert_eq!(found, expected, "round {round}: {ages:?}, record {id}, min {min}, now {now}");
        assert_eq!(is_old, matches!(found, Age::AtLeast(age) if age.as_secs() >= min), "round {round}");
        ends[usize::from(is_old) + 2 * usize::from(found == Age::Unknown)] += 1;
    }
    assert!(ends.iter().all(|count| *count > 1000), "young, old, unknown: {ends:?}");
}

#[test]
fn most_lines_that_fit_together_stay_and_they_are_the_younger_ones() {
    let mut random = fastrand::Rng::with_seed(8);
    for round in 0..3_000 {
        let any = |random: &mut fastrand::Rng| Seen { at: random.u64(0..20), size: random.u64(0..20) };
        let mut all: Vec<Seen> = (0..random.usize(0..9)).map(|_| any(&mut random)).collect();
        let known = [Seen { at: 3, size: 4 }, Seen { at: 9, size: 10 }];
        let now = random.u64(10..22);
        let settled = settle(all.clone(), &known, now);
        let fits = |lines: &[Seen]| lines.iter().all(|a| lines.iter().all(|b| !a.contradicts(b)));
        assert!(settled.seen.is_sorted() && fits(&[&settled.seen[..], &known].concat()), "round {round}");
        assert!(settled.seen.iter().all(|seen| seen.at <= now) && settled.later.iter().all(|seen| seen.at > now));

        // Every choice among the lines that fit clock and table.
        all.sort_unstable();
        all.dedup();
        all.retain(|line| line.at <= now && known.iter().all(|row| !line.contradicts(row)));
        let choices = (0_u32..1 << all.len()).map(|bits| {
            let chosen = all.iter().enumerate().filter(|(nth, _)| bits >> nth & 1 == 1);
            chosen.map(|(_, line)| *line).collect::<Vec<_>>()
        });
        let choices: Vec<Vec<Seen>> = choices.filter(|lines| fits(lines)).collect();
        let most = choices.iter().map(Vec::len).max().unwrap();
        assert_eq!(settled.seen.len(), most, "round {round}: {all:?}");
        // Of all choices with as many lines the one whose trees are the smallest, the last before the others.
        let backwards = |lines: &Vec<Seen>| lines.iter().rev().map(|seen| seen.size).collect::<Vec<_>>();
        let smallest = choices.iter().filter(|lines| lines.len() == most).map(backwards).min().unwrap();
        assert_eq!(backwards(&settled.seen), smallest, "round {round}: {all:?}");
    }
}

#[test]
fn one_wrong_line_goes_alone() {
    let right: Vec<(u64, u64)> = (1..=9).map(|n| (n * 10, n * 100)).collect();
    for wrong in [(5, 5000), (15, 950), (45, 901), (45, 3), (85, 1), (95, 7)] {
        let all = [&right[..], &[wrong]].concat();
        let (ages, dropped) = Ages::read(&lines(&all), &[], day(99));
        assert_eq!(counted(&ages), right, "{wrong:?}");
        let (at, size) = (wrong.0 * DAY, wrong.1);
        let said = messages(&dropped);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with(&format!("one line does not count for min-age (the first is {at} {size})")));
    }
    // Of two alone the smaller and later one stays: no record is older for it.
    assert_eq!(counted(&read(&[(10, 500), (20, 100)], day(99))), [(20, 100)]);
    // One size at two times, and two sizes at one time, contradict nothing.
    let quiet = [(10, 500), (20, 500), (20, 600)];
    assert_eq!(counted(&read(&quiet, day(99))), quiet);
}

#[test]
fn what_contradicts_the_table_goes_whatever_else_is_written() {
    let [_, before, newest] = SUM_GOLANG_ORG;
    // A larger tree before, a smaller one later; the same size later, and sizes between are right.
    let wrong = [(before.at - 1, before.size + 1), (newest.at - 9, newest.size + 1), (newest.at + 1, newest.size - 1)];
    let right = [(before.at + 5, before.size), (before.at + DAY, before.size + 7), (newest.at + 9, newest.size)];
    let text: String = wrong.iter().chain(&right).map(|(at, size)| format!("{at} {size}\n")).collect();
    let (mut ages, dropped) = Ages::read(&text, &SUM_GOLANG_ORG, at(newest.at + DAY));
    assert_eq!(ages.seen.iter().map(|seen| (seen.at, seen.size)).collect::<Vec<_>>(), right);
    let said = messages(&dropped);
    assert!(said.len() == 1 && said[0].starts_with("3 lines do not count") && said[0].contains("is known to have had"));
    // Nor is one taken down: a head from somebody's old cache.
    assert!(!ages.add(newest.size - 1, at(newest.at + 2 * DAY)).0);
    assert!(ages.add(newest.size + 1, at(newest.at + 2 * DAY)).0);
}

#[test]
fn a_time_later_than_the_clock_does_not_count_and_does_not_stay_in_the_way() {
    // The clock was wrong at the very first start.
    let mut text = String::new();
    for start in [4000, 100, 101, 102, 110] {
        let (mut ages, dropped) = Ages::read(&text, &[], day(start));
        let said = messages(&dropped);
        assert_eq!(said.len(), usize::from((100..=102).contains(&start)), "{start}: {said:?}");
        assert!(said.iter().all(|message| message.contains("is later than the clock")), "{said:?}");
        ages.add(start.min(110), day(start));
        text = ages.text();
    }
    assert_eq!(counted(&Ages::read(&text, &[], day(110)).0), [(100, 100), (101, 101), (102, 102), (110, 110)]);
    assert_eq!(Ages::read(&text, &[], day(110)).0.age(101, days(7), day(110)), Age::AtLeast(days(8)));
}

#[test]
fn a_clock_that_was_behind_at_one_start_makes_no_record_older() {
    let history = [(90, 900), (91, 910), (92, 920), (93, 930)];
    let (mut ages, dropped) = Ages::read(&lines(&history), &[], day(10));
    assert!(messages(&dropped)[0].starts_with("4 lines do not count"));
    ages.add(940, day(10));
    let (ages, dropped) = Ages::read(&ages.text(), &[], day(94));
    assert_eq!(counted(&ages), history);
    assert!(messages(&dropped)[0].contains("a log only grows"));
    assert_eq!(ages.age(935, days(7), day(94)), Age::Unknown);
}

#[test]
fn nothing_is_taken_down_while_the_clock_is_behind_the_built_in_head() {
    let newest = SUM_GOLANG_ORG[2];
    let (mut ages, _) = Ages::read("", &SUM_GOLANG_ORG, at(newest.at - 1));
    assert!(!ages.add(newest.size + 5, at(newest.at - 1)).0);
    assert!(ages.add(newest.size + 5, at(newest.at)).0);
}

#[test]
fn nothing_is_taken_down_while_the_clock_is_behind_a_time_that_was_taken_down() {
    let mut ages = Ages::default();
    ages.add(10, day(100));
    // Set back by years while the program runs: that is told once.
    let (changed, dropped) = ages.add(20, day(50));
    assert!(!changed && messages(&dropped)[0].contains("was set back behind its time"), "{dropped:?}");
    assert_eq!(ages.add(21, day(51)), (false, Dropped::default()));
    // What counted makes nothing older than it was.
    assert_eq!(ages.age(9, days(0), day(60)), Age::AtLeast(days(0)));
    assert_eq!(ages.age(9, days(7), day(60)), Age::Unknown);
    // And right again.
    assert!(ages.add(30, day(101)).0);
    assert_eq!(counted(&ages), [(100, 10), (101, 30)]);
    assert!(!messages(&ages.add(40, day(50)).1).is_empty(), "another time is told again");
    // It was ahead until now: what it wrote then is dropped at the next start, and does not stay in the way.
    let (mut ages, dropped) = Ages::read(&ages.text(), &[], day(52));
    assert!(messages(&dropped)[0].starts_with("2 lines do not count"));
    assert!(ages.add(41, day(52)).0);
    assert_eq!(counted(&ages), [(52, 41)]);
}

#[test]
fn in_a_log_of_an_honest_clock_no_record_is_older_than_it_is() {
    let mut random = fastrand::Rng::with_seed(9);
    for _ in 0..200 {
        let (mut ages, mut born, mut now) = (Ages::default(), Vec::new(), 1_000_000);
        for _ in 0..200 {
            now += random.u64(0..2000);
            born.extend((0..random.u64(0..3)).map(|_| now));
            ages.add(born.len() as u64, at(now));
            if random.u8(..) < 20 {
                ages = Ages::read(&ages.text(), &[], at(now)).0;
            }
        }
        for (id, born) in born.iter().enumerate() {
            let Age::AtLeast(age) = ages.age(id as u64, Duration::ZERO, at(now)) else { panic!("nothing is required") };
            let real = now - born;
            assert!(age.as_secs() <= real && real - age.as_secs() < 2 * RESOLUTION + 4000, "{age:?} {real}");
        }
    }
}

#[test]
fn a_log_that_rests_is_seen_again_and_an_older_head_is_not_taken_down() {
    let mut ages = Ages::default();
    ages.add(10, day(50));
    assert!(ages.is_due(10, day(60)) && !ages.is_due(9, day(60)) && !ages.is_due(10, at(50 * DAY + 1)));
    assert!(ages.add(10, day(60)).0 && !ages.add(9, day(61)).0);
    assert_eq!(counted(&ages), [(50, 10), (60, 10)]);
    assert_eq!(ages.age(10, days(7), day(70)), Age::AtLeast(days(0)), "young, not unknown");
    assert_eq!(ages.age(9, days(7), day(70)), Age::AtLeast(days(20)));
}

#[test]
fn the_newest_head_is_there_and_few_beside_it() {
    let mut ages = Ages::default();
    for second in 0..3600 {
        assert!(ages.add(second + 1, at(1_000_000 + second)).0);
        assert!(ages.has_seen(second + 1));
    }
    assert!(ages.seen.len() <= 9, "{:?}", ages.seen);
    assert_eq!((ages.first(), ages.seen.last().unwrap().size), (Some(1), 3600));
}

#[test]
fn what_is_written_down_is_read_again_and_stays_bounded() {
    let mut ages = Ages::default();
    for nth in 0..25_000 {
        ages.add(nth + 1, at(RESOLUTION * nth));
    }
    assert!(ages.seen.len() <= MAX_SEEN, "{}", ages.seen.len());
    assert_eq!(Ages::read(&ages.text(), &[], day(1000)), (ages, Dropped::default()));
}

#[test]
fn lines_of_any_kind_are_read_and_told() {
    let text = "8640000 20\nnonsense\n1 x\n-1 5\n18446744073709551615 18446744073709551615\n0 0\n\n";
    let (ages, dropped) = Ages::read(text, &SUM_GOLANG_ORG, day(20_000));
    assert_eq!(ages.text(), "0 0\n8640000 20\n");
    let said = messages(&dropped);
    assert!(said[0].starts_with("one line does") && said[1].starts_with("4 lines do not"), "{said:?}");
    assert!(said[1].contains("expected `UNIX-SECONDS SIZE`") && !said[1].contains("nonsense"), "{said:?}");
    assert_eq!(ages.age(u64::MAX, Duration::MAX, at(u64::MAX >> 2)), Age::Unknown);
}

#[test]
fn what_does_not_count_is_neither_used_nor_written() {
    let mut ages = Ages::of_table(&SUM_GOLANG_ORG);
    let now = at(SUM_GOLANG_ORG[2].at + 100 * DAY);
    assert!(!ages.add(60_000_000, now).0 && !ages.is_due(60_000_000, now));
    assert_eq!((ages.text(), ages.age(55_000_000, days(7), now)), (String::new(), Age::Unknown));
}
