//! `anon studies`.

use anon_engine::testing::files::{Place, ct_small};
use serde_json::Value;

use crate::support::{Scene, Test};

fn filled() -> Test<Scene> {
    let scene = Scene::new()?;
    for n in 0..7 {
        let place = Place::new(3).patient(n / 3).study(n);
        for instance in 0..=n {
            scene.put(
                &format!("in/{n}-{instance}"),
                &ct_small(&place.instance(instance)),
            )?;
        }
    }
    scene
        .json(&["import", "in", "--site-id", "5", "--jobs", "1"])?
        .exits(0);
    Ok(scene)
}

fn studies(scene: &Scene, args: &[&str]) -> Test<(Vec<Value>, Value)> {
    let ran = scene.json(&[&["studies"], args].concat())?.exits(0);
    let mut events = ran.events()?;
    let summary = events.pop().ok_or("no summary")?;
    Ok((events, summary))
}

#[test]
fn studies_are_filtered_sorted_and_paged_by_pseudonym() -> Test {
    let scene = filled()?;
    let (all, summary) = studies(&scene, &[])?;
    assert_eq!((all.len(), &summary["matches"]), (7, &7.into()));
    assert!(summary["next"].is_null());
    let (found, _) = studies(&scene, &["--filter", "5-000002"])?;
    assert!(
        found.iter().all(|study| study["patient"] == "5-000002"),
        "{found:?}"
    );
    assert_eq!(found.len(), 3);
    let (most, _) = studies(&scene, &["--sort", "instances", "--descending"])?;
    let counts: Vec<_> = most
        .iter()
        .filter_map(|study| study["instances"].as_u64())
        .collect();
    assert_eq!(counts, [7, 6, 5, 4, 3, 2, 1]);
    // Pages give each study once.
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut args = vec!["--sort", "first-seen", "--limit", "3"];
        args.extend(after.iter().flat_map(|after| ["--after", after.as_str()]));
        let (page, summary) = studies(&scene, &args)?;
        seen.extend(page.iter().map(|study| study["study"].to_string()));
        match summary["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen.len(), 7);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 7);
    scene.json(&["studies", "--after", "nonsense"])?.exits(3);
    Ok(())
}

/// An original must not be traced to its pseudonym without a line in the audit trail.
#[test]
fn studies_show_and_find_no_originals() -> Test {
    let scene = filled()?;
    let place = Place::new(3);
    for original in [
        place.patient_id(),
        place.patient_name(),
        place.accession(),
        place.study_uid(),
    ] {
        let (found, summary) = studies(&scene, &["--filter", &original])?;
        assert_eq!(
            (found.len(), &summary["matches"]),
            (0, &0.into()),
            "{original}"
        );
        let shown = scene.run(&["-p", "project", "studies"])?.exits(0);
        assert!(!shown.out.contains(&original), "{original}: {}", shown.out);
    }
    Ok(())
}
