//! Every example of docs/policy.md is read, and passes its own tests, as it stands there.

use super::*;

const PAGE: &str = include_str!("../../../../../../docs/policy.md");

#[test]
fn every_example_loads_and_passes_its_tests() {
    let mut tests = 0;
    let examples: Vec<_> =
        PAGE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    for example in &examples {
        let faults = Faults::new();
        let root = config::parse(example, &faults).unwrap();
        let mut fields = root.fields(config::KeyStyle::Ours, &faults);
        Policies::read(&fields.section("tokenExchange"), &faults);
        fields.finish();
        assert!(faults.all().is_empty(), "{example}\n{faults}");
        tests += example.matches("expect:").count();
    }
    assert!(examples.len() >= 6 && tests >= 2 * examples.len(), "{} examples, {tests} tests", examples.len());
}
