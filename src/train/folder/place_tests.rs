//! What a run may touch, and what it leaves as it is.

use super::super::layout::checkpoint_folder;
use super::*;

fn claim(target: &Path, earlier: Earlier) -> Result<Place, Diagnostic> {
    Place::claim(target, earlier, &[])
}

/// A run that began, with a few files.
fn begun(target: &Path) -> Place {
    let mut place = claim(target, Earlier::Keep).unwrap();
    place.mark("0123").unwrap();
    for file in [CONFIG_FILE, "spec/a.anb"] {
        fs::create_dir_all(parent(&place.path.join(file))).unwrap();
        fs::write(place.path.join(file), "ours").unwrap();
    }
    let checkpoint = checkpoint_folder(&place.path, 7);
    fs::create_dir_all(&checkpoint).unwrap();
    fs::write(checkpoint.join(STATE_FILE), "ours").unwrap();
    fs::write(checkpoint.join(TENSORS_FILE), "ours").unwrap();
    place
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_run_that_does_not_begin_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    drop(claim(&folder.path().join("deep/er/run"), Earlier::Keep).unwrap());
    assert_eq!(names(folder.path()), [""; 0]);
    fs::create_dir(folder.path().join("empty")).unwrap();
    drop(claim(&folder.path().join("empty"), Earlier::Keep).unwrap());
    assert_eq!(names(folder.path()), ["empty"]);
    assert_eq!(names(&folder.path().join("empty")), [""; 0]);
}

#[test]
fn a_second_run_has_another_name_or_replaces_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("run");
    let path = |place: &Place| place.path.file_name().unwrap().to_str().unwrap().to_string();
    drop(begun(&target));
    let second = begun(&target);
    assert_eq!(path(&second), "run-2");
    fs::create_dir(folder.path().join("run-3")).unwrap();
    fs::write(folder.path().join("run-3/thesis.tex"), "mine").unwrap();
    assert_eq!(path(&claim(&target, Earlier::Keep).unwrap()), "run-4");
    fs::write(target.join("thesis.tex"), "mine").unwrap();
    fs::write(target.join("spec/notes.txt"), "mine").unwrap();
    fs::write(target.join("checkpoints/000000007/notes.txt"), "mine").unwrap();
    fs::create_dir_all(target.join("checkpoints/7")).unwrap();
    let place = claim(&target, Earlier::Replace).unwrap();
    assert_eq!(path(&place), "run");
    place.clear(&[CONFIG_FILE, "spec/a.anb", "../run-3/thesis.tex"].map(str::to_string)).unwrap();
    assert_eq!(names(&target), [MARKER_FILE, "checkpoints", "spec", "thesis.tex"]);
    assert_eq!(names(&target.join("spec")), ["notes.txt"]);
    assert_eq!(names(&target.join("checkpoints")), ["000000007", "7"]);
    assert_eq!(names(&target.join("checkpoints/000000007")), ["notes.txt"]);
    assert_eq!(names(&folder.path().join("run-3")), ["thesis.tex"]);
}

#[test]
fn a_folder_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("run");
    let first = begun(&target);
    assert!(Place::open(&target).unwrap_err().notes[0].contains("another process"));
    assert!(claim(&target, Earlier::Replace).unwrap_err().notes[0].contains("another process"));
    drop(first);
    drop(Place::open(&target).unwrap());
    // One that has not begun is not given away either.
    let unbegun = claim(&folder.path().join("other"), Earlier::Keep).unwrap();
    assert_eq!(claim(&folder.path().join("other"), Earlier::Keep).unwrap().path, folder.path().join("other-2"));
    drop(unbegun);
}

#[test]
fn a_marker_that_was_cut_off_is_ours() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("run");
    fs::create_dir(&target).unwrap();
    fs::write(target.join(MARKER_FILE), "").unwrap();
    assert_eq!(Place::open(&target).unwrap_err().code, Code::E0608, "nothing began there");
    assert_eq!(begun(&target).path, target);
    for text in ["{", "{}", "[1]", "{\"format\": 1, \"id\": \"x\"}", "thesis"] {
        fs::write(target.join(MARKER_FILE), text).unwrap();
        assert_eq!(claim(&target, Earlier::Replace).unwrap_err().code, Code::E0605, "{text}");
        assert_eq!(Place::open(&target).unwrap_err().code, Code::E0608, "{text}");
        assert_eq!(fs::read_to_string(target.join(MARKER_FILE)).unwrap(), text);
    }
}

#[test]
fn a_marker_is_replaced_by_one_of_the_same_length() {
    let folder = tempfile::tempdir().unwrap();
    let mut place = begun(&folder.path().join("run"));
    place.mark("4567").unwrap();
    assert_eq!(fs::read_to_string(place.path.join(MARKER_FILE)).unwrap(), "{\"format\":2,\"id\":\"4567\"}\n");
}

#[test]
fn litter_of_runs_goes_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let place = begun(&folder.path().join("run"));
    let at = |name: &str| place.path.join(name);
    fs::create_dir(at("checkpoints/.anabranch-000000009.part")).unwrap();
    fs::write(at("checkpoints/.anabranch-000000009.part").join(TENSORS_FILE), "half").unwrap();
    fs::write(at(".anabranch-x.part"), "half").unwrap();
    fs::create_dir(at(".anabranch-mine.part")).unwrap();
    fs::write(at(".anabranch-mine.part/thesis.tex"), "mine").unwrap();
    place.tidy();
    assert_eq!(names(&place.path), [".anabranch-mine.part", MARKER_FILE, "checkpoints", CONFIG_FILE, "spec"]);
    assert_eq!(names(&at("checkpoints")), ["000000007"]);
    assert_eq!(names(&at("checkpoints/000000007")), [STATE_FILE, TENSORS_FILE]);
}

#[test]
fn a_file_that_the_run_reads_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("run");
    drop(begun(&target));
    let input = target.join("./checkpoints/000000007").join(TENSORS_FILE);
    let refused = Place::claim(&target, Earlier::Replace, &[input]).unwrap_err();
    assert!(refused.notes[0].ends_with("which this run reads"), "{refused:?}");
    assert!(Place::claim(&target, Earlier::Replace, &[folder.path().join("other")]).is_ok());
}

#[test]
#[cfg(unix)]
fn what_took_the_place_of_our_files_stays() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("precious")).unwrap();
    fs::write(at("precious/b.txt"), "mine").unwrap();
    let place = begun(&at("run"));
    let check = |file: &str| place.check_files(&[file.to_string()]).is_ok();
    assert!(check("spec/a.anb") && check("spec/new.anb") && check("graphs/train.txt"));
    symlink(at("precious/b.txt"), at("run/linked")).unwrap();
    symlink(at("precious"), at("run/rerouted")).unwrap();
    symlink("nothing", at("run/dangling")).unwrap();
    fs::create_dir(at("run/foldered")).unwrap();
    for file in ["linked", "rerouted/b.txt", "dangling", "foldered", "spec/a.anb/below"] {
        assert!(!check(file), "{file}");
    }
    place.clear(&["linked", "rerouted/b.txt", "foldered"].map(str::to_string)).unwrap();
    assert!(at("run/linked").is_symlink() && at("run/foldered").is_dir());
    drop(place);
    symlink(at("run"), at("link")).unwrap();
    symlink("nothing", at("dangling")).unwrap();
    for target in ["link", "dangling", "precious", "precious/b.txt", "precious/b.txt/run", "run/.."] {
        assert_eq!(claim(&at(target), Earlier::Replace).unwrap_err().code, Code::E0605, "{target}");
    }
    assert_eq!(fs::read_to_string(at("precious/b.txt")).unwrap(), "mine");
}
