//! How much memory this process may still take: the least of what the machine has, what its control groups allow and what
//! its limit of address space leaves.
//!
//! Everything is read from texts that Linux shows; elsewhere nothing is known, and the library's own limit holds. What the process has
//! taken already, such as its data, is not counted again: each source says what is left.

use std::path::{Path, PathBuf};

/// The bytes that may still be taken, as far as this system tells.
pub(super) fn left() -> Option<u64> {
    left_by(&|path| std::fs::read_to_string(path).ok())
}

/// Gives the text of a file, if there is one.
type ReadText<'r> = dyn Fn(&Path) -> Option<String> + 'r;

fn left_by(read: &ReadText<'_>) -> Option<u64> {
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| kibibytes(&text, "MemAvailable:"));
    let groups = read(Path::new("/proc/self/cgroup")).and_then(|text| left_in_groups(&text, read));
    [machine, groups, left_of_addresses(read)].into_iter().flatten().min()
}

/// The number behind a key, in kB, as bytes.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// What `ulimit -v` leaves.
fn left_of_addresses(read: &ReadText<'_>) -> Option<u64> {
    let limits = read(Path::new("/proc/self/limits"))?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: u64 = line.split_whitespace().next()?.parse().ok()?;
    let taken = read(Path::new("/proc/self/status")).and_then(|text| kibibytes(&text, "VmSize:")).unwrap_or(0);
    Some(limit.saturating_sub(taken))
}

/// The least that any group on the way from the root to this process's own leaves. `text` is `/proc/self/cgroup`: a line a
/// hierarchy, `0::PATH` in version 2, `N:CONTROLLERS:PATH` in version 1.
fn left_in_groups(text: &str, read: &ReadText<'_>) -> Option<u64> {
    let mut left: Option<u64> = None;
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let files = match (number, controllers) {
            ("0", "") => {
                Files { root: "/sys/fs/cgroup", limit: "memory.max", usage: "memory.current", cache: "inactive_file " }
            }
            _ if controllers.split(',').any(|controller| controller == "memory") => Files {
                root: "/sys/fs/cgroup/memory",
                limit: "memory.limit_in_bytes",
                usage: "memory.usage_in_bytes",
                cache: "total_inactive_file ",
            },
            _ => continue,
        };
        // Within a container the path may be one of the machine outside: then its own group stands at the root.
        for group in Path::new(path).ancestors() {
            let relative: PathBuf =
                group.components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
            let of_group = files.left(&Path::new(files.root).join(relative), read);
            left = [left, of_group].into_iter().flatten().min();
        }
    }
    left
}

/// Where a version of control groups says what it allows.
struct Files {
    root: &'static str,
    limit: &'static str,
    usage: &'static str,
    /// in `memory.stat`: cached files, which are given back when memory is short
    cache: &'static str,
}

impl Files {
    /// `max`, or a number near the largest there is, is no limit.
    fn left(&self, group: &Path, read: &ReadText<'_>) -> Option<u64> {
        let number = |name: &str| read(&group.join(name))?.trim().parse::<u64>().ok();
        let limit = number(self.limit).filter(|limit| *limit < 1 << 60)?;
        let cached = read(&group.join("memory.stat")).and_then(|text| {
            let value = text.lines().find_map(|line| line.strip_prefix(self.cache))?;
            value.trim().parse::<u64>().ok()
        });
        let taken = number(self.usage).unwrap_or(0).saturating_sub(cached.unwrap_or(0));
        Some(limit.saturating_sub(taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// What is left on a system that shows these files.
    fn left_with(files: &[(&str, &str)]) -> Option<u64> {
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| text.to_string())
        };
        left_by(&read)
    }

    const MACHINE: (&str, &str) =
        ("/proc/meminfo", "MemTotal:  8388608 kB\nMemFree:  10 kB\nMemAvailable:  4194304 kB\n");

    #[test]
    fn a_machine_without_limits_has_what_is_available() {
        assert_eq!(left_with(&[]), None);
        assert_eq!(left_with(&[MACHINE]), Some(4 * GIB));
        assert_eq!(left_with(&[("/proc/meminfo", "MemAvailable: much\n")]), None);
    }

    #[test]
    fn groups_of_version_2_count_on_every_level() {
        let group = ("/proc/self/cgroup", "0::/user/job\n");
        let own = [MACHINE, group, ("/sys/fs/cgroup/user/job/memory.max", "max\n")];
        assert_eq!(left_with(&own), Some(4 * GIB));
        let above = [own[0], own[1], own[2], ("/sys/fs/cgroup/user/memory.max", "2147483648\n")];
        assert_eq!(left_with(&above), Some(2 * GIB));
        let used = [above[0], above[1], above[3], ("/sys/fs/cgroup/user/memory.current", "1610612736\n")];
        assert_eq!(left_with(&used), Some(GIB / 2));
        let cache = ("/sys/fs/cgroup/user/memory.stat", "anon 1\ninactive_file 536870912\n");
        assert_eq!(left_with(&[used[0], used[1], used[2], used[3], cache]), Some(GIB));
        // A container sees its own group as the root.
        let root = [MACHINE, ("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/memory.max", "1073741824\n")];
        assert_eq!(left_with(&root), Some(GIB));
    }

    #[test]
    fn groups_of_version_1_are_read_too() {
        let group = ("/proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/docker/1\n");
        let at = |path: &'static str, limit| [MACHINE, group, (path, limit)];
        assert_eq!(left_with(&at("/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "1073741824\n")), Some(GIB));
        // Mounted within a container, and without a limit.
        assert_eq!(left_with(&at("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n")), Some(GIB));
        let none = at("/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(left_with(&none), Some(4 * GIB));
    }

    #[test]
    fn the_limit_of_addresses_counts_what_is_taken() {
        let limits = |value: &'static str| [MACHINE, ("/proc/self/limits", value)];
        let unlimited = "Limit  Soft Limit  Hard Limit  Units\nMax address space  unlimited  unlimited  bytes\n";
        assert_eq!(left_with(&limits(unlimited)), Some(4 * GIB));
        let limited = "Max cpu time  1 2 seconds\nMax address space         2147483648  4147483648  bytes\n";
        assert_eq!(left_with(&limits(limited)), Some(2 * GIB));
        let status = ("/proc/self/status", "Name: x\nVmPeak: 9 kB\nVmSize:  1048576 kB\n");
        assert_eq!(left_with(&[MACHINE, ("/proc/self/limits", limited), status]), Some(GIB));
        // What is not shown as expected limits nothing.
        assert_eq!(left_with(&[MACHINE, ("/proc/self/cgroup", "::\n\u{0}:memory\n7\n")]), Some(4 * GIB));
    }
}
