//! How many hashes the machine, or the container, can bear at once.

use std::{
    fs,
    num::NonZeroUsize,
    path::{Component, Path, PathBuf},
    thread,
};

use super::Cost;

/// What everything but hashing may need, in bytes.
const BASE_MEMORY: u64 = 64 << 20;

/// Without a limit cgroup v1 shows the largest multiple of a page; nobody sets an exbibyte.
const UNLIMITED: u64 = 1 << 60;

/// What the process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    pub cores: NonZeroUsize,
    /// Bytes; `None` without a limit.
    pub memory: Option<u64>,
}

impl Resources {
    /// Cores by affinity and CPU quota; memory by the tightest limit from the process's cgroup upwards, as the files
    /// below `root` (`/`, but for tests) tell. What cannot be read limits nothing.
    pub fn detect(root: &Path) -> Self {
        Self { cores: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN), memory: memory_limit(root) }
    }

    /// One a core, as far as memory goes; at least one.
    pub(super) fn slots(&self, cost: Cost) -> NonZeroUsize {
        let by_memory = self.memory.map_or(u64::MAX, |limit| limit.saturating_sub(BASE_MEMORY) / cost.memory());
        let by_memory = NonZeroUsize::new(usize::try_from(by_memory).unwrap_or(usize::MAX));
        self.cores.min(by_memory.unwrap_or(NonZeroUsize::MIN))
    }

    /// Bytes that a stored hash may occupy in one of `slots`: its share, and never less than `cost` needs.
    pub(super) fn memory_a_hash(&self, slots: NonZeroUsize, cost: Cost) -> u64 {
        let share = self.memory.map_or(u64::MAX, |limit| limit.saturating_sub(BASE_MEMORY) / slots.get() as u64);
        share.min(Cost::MAX_MEMORY).max(cost.memory())
    }
}

/// Where one version of cgroups keeps its limits.
struct Hierarchy {
    mounts: &'static [&'static str],
    files: &'static [&'static str],
    owns: fn(id: &str, controllers: &str) -> bool,
}

const HIERARCHIES: [Hierarchy; 2] = [
    Hierarchy {
        // The second is where a hybrid system has it.
        mounts: &["sys/fs/cgroup", "sys/fs/cgroup/unified"],
        // Beyond `high` the kernel does not kill, it stalls.
        files: &["memory.max", "memory.high"],
        owns: |id, controllers| id == "0" && controllers.is_empty(),
    },
    Hierarchy {
        mounts: &["sys/fs/cgroup/memory"],
        files: &["memory.limit_in_bytes"],
        owns: |_, controllers| controllers.split(',').any(|controller| controller == "memory"),
    },
];

fn memory_limit(root: &Path) -> Option<u64> {
    let memberships = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = HIERARCHIES.iter().flat_map(|hierarchy| {
        let group = memberships.lines().find_map(|line| membership(line, hierarchy)).unwrap_or_default();
        // The path may be the host's while the mount shows the container's own group as its root: so every level is
        // tried, down to the mount itself.
        let levels: Vec<PathBuf> = group.ancestors().map(Path::to_owned).collect();
        hierarchy.mounts.iter().flat_map(move |mount| {
            let mount = root.join(mount);
            let levels = levels.clone();
            levels.into_iter().flat_map(move |level| {
                let folder = mount.join(level);
                hierarchy.files.iter().filter_map(move |file| limit_in(&folder.join(file)))
            })
        })
    });
    limits.min()
}

/// The group's path without its leading slash, from a line `id:controllers:path`.
fn membership(line: &str, hierarchy: &Hierarchy) -> Option<PathBuf> {
    let mut fields = line.splitn(3, ':');
    let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    if !(hierarchy.owns)(id, controllers) {
        return None;
    }
    let path = Path::new(path);
    // A group outside our namespace is shown as `/../…`: only the mount itself can be asked.
    if path.components().any(|part| part == Component::ParentDir) {
        return Some(PathBuf::new());
    }
    Some(path.components().filter(|part| matches!(part, Component::Normal(_))).collect())
}

fn limit_in(file: &Path) -> Option<u64> {
    // `max` is no number, and no limit.
    let limit = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (limit < UNLIMITED).then_some(limit)
}

#[cfg(test)]
mod tests;
