//! Ages, by examples and against a naive model; which lines count; wrong clocks.
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

/// The lines that count, as `(day, size)`.
fn counted(ages: &Ages) -> Vec<(u64, u64)> {
    ages.counted.iter().map(|seen| (seen.at / DAY, seen.size)).collect()
}

fn messages(dropped: &Dropped) -> Vec<String> {
    dropped.messages().collect()
}

#[test]
fn a_record_is_as_old_as_the_first_observed_tree_with_it() {
    let mut ages = Ages::default();
    assert!(ages.add(10, day(90)).0 && ages.add(20, day(95)).0);
    let age = |id| ages.age(id, days(5), day(100));
    assert_eq!(age(9), Age::AtLeast(days(10)));
    // The tree of 10 records ends before record 10.
    assert_eq!(age(10), Age::AtLeast(days(5)));
    assert_eq!(age(20), Age::AtLeast(days(0)));
}

#[test]
fn only_the_age_of_a_record_without_evidence_can_be_unknown() {
    let ages = read(&[(10, 100), (40, 200), (45, 300)], day(100));
    // Covered by evidence, however old that is.
    assert_eq!(ages.age(99, days(7), day(100)), Age::AtLeast(days(90)));
    assert_eq!(ages.age(250, days(7), day(100)), Age::AtLeast(days(55)));
    // Not covered, and the newest evidence is 55 days old: more than twice 7 or 27, and not more than twice 28.
    assert_eq!(ages.age(300, days(7), day(100)), Age::Unknown);
    assert_eq!(ages.age(300, days(27), day(100)), Age::Unknown);
    assert_eq!(ages.age(300, days(28), day(100)), Age::AtLeast(days(0)));
    // A younger observation is not evidence: for 56 days the newest is that of day 40.
    assert_eq!(ages.age(200, days(56), day(100)), Age::AtLeast(days(55)));
    assert_eq!(ages.age(250, days(91), day(100)), Age::Unknown, "no evidence");
    assert_eq!(Ages::default().age(0, days(7), day(100)), Age::Unknown, "no evidence");
    assert_eq!(Ages::default().age(0, days(0), day(100)), Age::AtLeast(days(0)), "nothing is required");
}

#[test]
fn a_new_installation_knows_old_records_of_the_public_database() {
    let (ages, _) = Ages::read("", &KNOWN_SIZES, day(0));
    let newest = KNOWN_SIZES[2];
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
    let mut results = [0_u32; 3];
    for round in 0..20_000 {
        // A log that grows, observed at some times; the table has some of these.
        let mut log: Vec<ObservedSize> =
            (0..random.usize(0..12)).map(|_| ObservedSize { at: random.u64(0..60), size: 0 }).collect();
        log.sort_unstable();
        let mut size = 0;
        for seen in &mut log {
            size += random.u64(0..4);
            seen.size = size;
        }
        let (known, seen): (Vec<ObservedSize>, Vec<ObservedSize>) = log.iter().copied().partition(|_| random.bool());
        let (min, now, id) = (random.u64(0..20), random.u64(0..80), random.u64(0..=size));
        let ages = Ages { known, counted: seen, ..Ages::default() };

        let covers: Vec<u64> = log.iter().filter(|seen| seen.size > id).map(|seen| seen.at).collect();
        let evidence: Vec<&ObservedSize> = log.iter().filter(|seen| seen.at + min <= now).collect();
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
        results[usize::from(is_old) + 2 * usize::from(found == Age::Unknown)] += 1;
    }
    assert!(results.iter().all(|count| *count > 1000), "young, old, unknown: {results:?}");
}

#[test]
fn the_longest_consistent_sequence_with_the_smallest_trees_counts() {
    let mut random = fastrand::Rng::with_seed(8);
    for round in 0..3_000 {
        let any = |random: &mut fastrand::Rng| ObservedSize { at: random.u64(0..20), size: random.u64(0..20) };
        let mut all: Vec<ObservedSize> = (0..random.usize(0..9)).map(|_| any(&mut random)).collect();
        let known = [ObservedSize { at: 3, size: 4 }, ObservedSize { at: 9, size: 10 }];
        let now = random.u64(10..22);
        let settled = settle(all.clone(), &known, now);
        let fits = |lines: &[ObservedSize]| lines.iter().all(|a| lines.iter().all(|b| !a.contradicts(b)));
        assert!(settled.counted.is_sorted() && fits(&[&settled.counted[..], &known].concat()), "round {round}");
        assert!(settled.counted.iter().all(|seen| seen.at <= now) && settled.later.iter().all(|seen| seen.at > now));

        // Every subset of the lines that agree with the clock and the table.
        all.sort_unstable();
        all.dedup();
        all.retain(|line| line.at <= now && known.iter().all(|row| !line.contradicts(row)));
        let choices = (0_u32..1 << all.len()).map(|bits| {
            let chosen = all.iter().enumerate().filter(|(nth, _)| bits >> nth & 1 == 1);
            chosen.map(|(_, line)| *line).collect::<Vec<_>>()
        });
        let choices: Vec<Vec<ObservedSize>> = choices.filter(|lines| fits(lines)).collect();
        let most = choices.iter().map(Vec::len).max().unwrap();
        assert_eq!(settled.counted.len(), most, "round {round}: {all:?}");
        // Of the longest subsets the one with the smallest trees, compared from the last line.
        let backwards = |lines: &Vec<ObservedSize>| lines.iter().rev().map(|seen| seen.size).collect::<Vec<_>>();
        let smallest = choices.iter().filter(|lines| lines.len() == most).map(backwards).min().unwrap();
        assert_eq!(backwards(&settled.counted), smallest, "round {round}: {all:?}");
    }
}

#[test]
fn one_wrong_line_is_the_only_one_that_is_dropped() {
    let right: Vec<(u64, u64)> = (1..=9).map(|n| (n * 10, n * 100)).collect();
    for wrong in [(5, 5000), (15, 950), (45, 901), (45, 3), (85, 1), (95, 7)] {
        let all = [&right[..], &[wrong]].concat();
        let (ages, dropped) = Ages::read(&lines(&all), &[], day(99));
        assert_eq!(counted(&ages), right, "{wrong:?}");
        let (at, size) = (wrong.0 * DAY, wrong.1);
        let reported = messages(&dropped);
        assert_eq!(reported.len(), 1, "{reported:?}");
        assert!(reported[0].starts_with(&format!("one line does not count for min-age (the first is {at} {size})")));
    }
    // Of two lines the later and smaller one counts, which makes no record older.
    assert_eq!(counted(&read(&[(10, 500), (20, 100)], day(99))), [(20, 100)]);
    // One size at two times, and two sizes at one time, are consistent.
    let consistent = [(10, 500), (20, 500), (20, 600)];
    assert_eq!(counted(&read(&consistent, day(99))), consistent);
}

#[test]
fn lines_that_contradict_the_table_are_dropped() {
    let [_, before, newest] = KNOWN_SIZES;
    // A larger tree before, a smaller one later; the same size later, and sizes between are right.
    let wrong = [(before.at - 1, before.size + 1), (newest.at - 9, newest.size + 1), (newest.at + 1, newest.size - 1)];
    let right = [(before.at + 5, before.size), (before.at + DAY, before.size + 7), (newest.at + 9, newest.size)];
    let text: String = wrong.iter().chain(&right).map(|(at, size)| format!("{at} {size}\n")).collect();
    let (mut ages, dropped) = Ages::read(&text, &KNOWN_SIZES, at(newest.at + DAY));
    assert_eq!(ages.counted.iter().map(|seen| (seen.at, seen.size)).collect::<Vec<_>>(), right);
    let reported = messages(&dropped);
    assert!(
        reported.len() == 1
            && reported[0].starts_with("3 lines do not count")
            && reported[0].contains("contradicts the known sizes")
    );
    // Nor is such a size added: a head from an old cache.
    assert!(!ages.add(newest.size - 1, at(newest.at + 2 * DAY)).0);
    assert!(ages.add(newest.size + 1, at(newest.at + 2 * DAY)).0);
}

#[test]
fn a_line_later_than_the_clock_does_not_count_and_is_removed_later() {
    // The clock was wrong at the very first start.
    let mut text = String::new();
    for start in [4000, 100, 101, 102, 110] {
        let (mut ages, dropped) = Ages::read(&text, &[], day(start));
        let reported = messages(&dropped);
        assert_eq!(reported.len(), usize::from((100..=102).contains(&start)), "{start}: {reported:?}");
        assert!(reported.iter().all(|message| message.contains("is later than the clock")), "{reported:?}");
        ages.add(start.min(110), day(start));
        text = ages.text();
    }
    assert_eq!(counted(&Ages::read(&text, &[], day(110)).0), [(100, 100), (101, 101), (102, 102), (110, 110)]);
    assert_eq!(Ages::read(&text, &[], day(110)).0.age(101, days(7), day(110)), Age::AtLeast(days(8)));
}

#[test]
fn a_clock_that_was_early_at_one_start_makes_no_record_older() {
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
fn nothing_is_added_while_the_clock_is_earlier_than_the_table() {
    let newest = KNOWN_SIZES[2];
    let (mut ages, _) = Ages::read("", &KNOWN_SIZES, at(newest.at - 1));
    assert!(!ages.add(newest.size + 5, at(newest.at - 1)).0);
    assert!(ages.add(newest.size + 5, at(newest.at)).0);
}

#[test]
fn nothing_is_added_while_the_clock_is_earlier_than_the_newest_line() {
    let mut ages = Ages::default();
    ages.add(10, day(100));
    // Set back while the program runs: reported once.
    let (changed, dropped) = ages.add(20, day(50));
    assert!(!changed && messages(&dropped)[0].contains("was set to an earlier time"), "{dropped:?}");
    assert_eq!(ages.add(21, day(51)), (false, Dropped::default()));
    // The lines that count make no record older.
    assert_eq!(ages.age(9, days(0), day(60)), Age::AtLeast(days(0)));
    assert_eq!(ages.age(9, days(7), day(60)), Age::Unknown);
    // The clock is corrected.
    assert!(ages.add(30, day(101)).0);
    assert_eq!(counted(&ages), [(100, 10), (101, 30)]);
    assert!(!messages(&ages.add(40, day(50)).1).is_empty(), "the next time is reported again");
    // It was ahead until now: the lines of that time are dropped at the next start, and block nothing.
    let (mut ages, dropped) = Ages::read(&ages.text(), &[], day(52));
    assert!(messages(&dropped)[0].starts_with("2 lines do not count"));
    assert!(ages.add(41, day(52)).0);
    assert_eq!(counted(&ages), [(52, 41)]);
}

#[test]
fn with_a_right_clock_no_record_appears_older_than_it_is() {
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
fn a_log_that_does_not_grow_is_observed_again_and_an_older_head_is_not_added() {
    let mut ages = Ages::default();
    ages.add(10, day(50));
    assert!(ages.is_due(10, day(60)) && !ages.is_due(9, day(60)) && !ages.is_due(10, at(50 * DAY + 1)));
    assert!(ages.add(10, day(60)).0 && !ages.add(9, day(61)).0);
    assert_eq!(counted(&ages), [(50, 10), (60, 10)]);
    assert_eq!(ages.age(10, days(7), day(70)), Age::AtLeast(days(0)), "young, not unknown");
    assert_eq!(ages.age(9, days(7), day(70)), Age::AtLeast(days(20)));
}

#[test]
fn the_newest_head_is_kept_with_few_others() {
    let mut ages = Ages::default();
    for second in 0..3600 {
        assert!(ages.add(second + 1, at(1_000_000 + second)).0);
        assert!(ages.has_observed(second + 1));
    }
    assert!(ages.counted.len() <= 9, "{:?}", ages.counted);
    assert_eq!((ages.first_size(), ages.counted.last().unwrap().size), (Some(1), 3600));
}

#[test]
fn the_text_is_read_again_and_stays_bounded() {
    let mut ages = Ages::default();
    for nth in 0..25_000 {
        ages.add(nth + 1, at(RESOLUTION * nth));
    }
    assert!(ages.counted.len() <= MAX_OBSERVED_SIZES, "{}", ages.counted.len());
    assert_eq!(Ages::read(&ages.text(), &[], day(1000)), (ages, Dropped::default()));
}

#[test]
fn unreadable_lines_are_reported() {
    let text = "8640000 20\nnonsense\n1 x\n-1 5\n18446744073709551615 18446744073709551615\n0 0\n\n";
    let (ages, dropped) = Ages::read(text, &KNOWN_SIZES, day(20_000));
    assert_eq!(ages.text(), "0 0\n8640000 20\n");
    let reported = messages(&dropped);
    assert!(reported[0].starts_with("one line does") && reported[1].starts_with("4 lines do not"), "{reported:?}");
    assert!(reported[1].contains("expected `UNIX-SECONDS SIZE`") && !reported[1].contains("nonsense"), "{reported:?}");
    assert_eq!(ages.age(u64::MAX, Duration::MAX, at(u64::MAX >> 2)), Age::Unknown);
}

#[test]
fn a_table_alone_is_neither_extended_nor_written() {
    let mut ages = Ages::of_table(&KNOWN_SIZES);
    let now = at(KNOWN_SIZES[2].at + 100 * DAY);
    assert!(!ages.add(60_000_000, now).0 && !ages.is_due(60_000_000, now));
    assert_eq!((ages.text(), ages.age(55_000_000, days(7), now)), (String::new(), Age::Unknown));
}
