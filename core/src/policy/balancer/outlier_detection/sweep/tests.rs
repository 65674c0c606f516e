use super::*;

fn at(seconds: u64) -> Time {
    Time::from_start(Duration::from_secs(seconds))
}

/// Hosts with so many good and bad calls each.
fn hosts(calls: &[(u64, u64)]) -> Vec<Host> {
    calls.iter().map(|(succeeded, failed)| Host { succeeded: *succeeded, failed: *failed, ..Host::default() }).collect()
}

fn ejected(hosts: &[Host]) -> Vec<usize> {
    (0..hosts.len()).filter(|at| hosts[*at].ejected_at.is_some()).collect()
}

fn swept(options: &OutlierOptions, calls: &[(u64, u64)]) -> Vec<usize> {
    let mut hosts = hosts(calls);
    sweep(options, at(10), &mut hosts, || 0.0);
    ejected(&hosts)
}

fn by_success() -> OutlierOptions {
    let success_rate = Some(SuccessRateEjection::default());
    OutlierOptions { success_rate, max_ejection_percent: 100, ..OutlierOptions::default() }
}

fn by_failure() -> OutlierOptions {
    let failure_percentage = Some(FailurePercentageEjection::default());
    OutlierOptions { failure_percentage, max_ejection_percent: 100, ..OutlierOptions::default() }
}

const GOOD: (u64, u64) = (100, 0);

/// [LB-82]: of the ratios 1, 1, 1, 1 and r the mean is (4 + r) / 5 and the deviation 2 (1 − r) / 5, so that with a factor of 1.9 every
/// r below 1 is ejected: the least allowed is r + 0.04 (1 − r).
#[test]
fn who_succeeds_less_often_than_the_others_by_so_many_deviations_is_ejected() {
    assert_eq!(swept(&by_success(), &[GOOD, GOOD, GOOD, GOOD, (0, 100)]), [4]);
    assert_eq!(swept(&by_success(), &[GOOD, GOOD, GOOD, GOOD, (99, 1)]), [4]);
    // 2.0 deviations below the mean is the lowest one of five can be.
    let two = SuccessRateEjection { stdev_factor: 2_001, ..SuccessRateEjection::default() };
    let options = OutlierOptions { success_rate: Some(two), ..by_success() };
    assert!(swept(&options, &[GOOD, GOOD, GOOD, GOOD, (0, 100)]).is_empty());
    // Mean 0.7, deviation 0.2: the least allowed is 0.32.
    assert!(swept(&by_success(), &[(50, 50), (50, 50), (90, 10), (90, 10), (70, 30)]).is_empty());
    assert!(swept(&by_success(), &[GOOD; 5]).is_empty(), "none below the mean");
}

/// [LB-82], [LB-83]
#[test]
fn few_calls_and_few_hosts_say_nothing() {
    let bad = (0, 99);
    assert!(swept(&by_success(), &[GOOD, GOOD, GOOD, GOOD, bad]).is_empty(), "99 calls, and four hosts left");
    assert!(swept(&by_success(), &[GOOD, GOOD, GOOD, (0, 100)]).is_empty(), "four hosts");
    assert_eq!(swept(&by_success(), &[GOOD, GOOD, GOOD, GOOD, (0, 100), bad]), [4]);
    assert!(swept(&by_failure(), &[GOOD, GOOD, GOOD, GOOD, (0, 49)]).is_empty());
    assert!(swept(&by_failure(), &[GOOD, GOOD, GOOD, (0, 100)]).is_empty());
}

/// [LB-83]
#[test]
fn who_fails_more_often_than_the_threshold_is_ejected() {
    assert_eq!(swept(&by_failure(), &[GOOD, GOOD, GOOD, (15, 85), (14, 86)]), [4]);
    assert_eq!(swept(&by_failure(), &[(0, 50); 5]), [0, 1, 2, 3, 4]);
}

/// [LB-84], [LB-88]
#[test]
fn no_more_than_their_share_go_but_one_always_may() {
    let bad = (0, 100);
    let most = |max_ejection_percent| OutlierOptions { max_ejection_percent, ..by_failure() };
    assert_eq!(swept(&most(0), &[bad, bad, GOOD, GOOD, GOOD]), [0]);
    assert_eq!(swept(&most(10), &[bad, bad, GOOD, GOOD, GOOD]), [0]);
    assert_eq!(swept(&most(40), &[bad, bad, bad, GOOD, GOOD]), [0, 1]);
    assert_eq!(
        swept(&most(41), &[bad, bad, bad, GOOD, GOOD]),
        [0, 1, 2],
        "three are ejected when two are fewer than 41 %"
    );
}

/// [LB-84]
#[test]
fn chance_enforces_an_ejection_as_often_as_asked() {
    let rule = FailurePercentageEjection { enforcement_percentage: 30, ..FailurePercentageEjection::default() };
    let options = OutlierOptions { failure_percentage: Some(rule), ..by_failure() };
    let mut units = [0.29, 0.30, 0.99, 0.0, 0.5].into_iter();
    let mut hosts = hosts(&[(0, 100); 5]);
    sweep(&options, at(10), &mut hosts, || units.next().expect("one for each"));
    assert_eq!(ejected(&hosts), [0, 3]);
}

/// [LB-86]
#[test]
fn one_that_both_rules_find_is_ejected_once() {
    let options = OutlierOptions { failure_percentage: by_failure().failure_percentage, ..by_success() };
    let mut hosts = hosts(&[GOOD, GOOD, GOOD, GOOD, (0, 100)]);
    sweep(&options, at(10), &mut hosts, || 0.0);
    assert_eq!((hosts[4].ejected_at, hosts[4].multiplier), (Some(at(10)), 1));
}

/// [LB-81]
#[test]
fn an_ejection_lasts_longer_each_time_up_to_a_limit() {
    let options = OutlierOptions { max_ejection_time: Duration::from_secs(70), ..by_failure() };
    for (multiplier, seconds) in [(1, 30), (2, 60), (3, 70), (u32::MAX, 70)] {
        let mut hosts = vec![Host { ejected_at: Some(at(100)), multiplier, ..Host::default() }];
        sweep(&options, at(100 + seconds), &mut hosts, || 0.0);
        assert_eq!(hosts[0].ejected_at, Some(at(100)), "{multiplier}");
        sweep(&options, at(101 + seconds), &mut hosts, || 0.0);
        assert_eq!((hosts[0].ejected_at, hosts[0].multiplier), (None, multiplier), "{multiplier}");
    }
    let short = OutlierOptions { max_ejection_time: Duration::ZERO, ..by_failure() };
    let mut hosts = vec![Host { ejected_at: Some(at(100)), multiplier: 5, ..Host::default() }];
    sweep(&short, at(130), &mut hosts, || 0.0);
    assert_eq!(hosts[0].ejected_at, Some(at(100)), "the base is the least");
}

/// [LB-81]
#[test]
fn each_interval_without_ejection_is_forgiven_a_little() {
    let mut hosts = vec![Host { multiplier: 2, ..Host::default() }];
    for left in [1, 0, 0] {
        sweep(&by_failure(), at(10), &mut hosts, || 0.0);
        assert_eq!(hosts[0].multiplier, left);
    }
}
