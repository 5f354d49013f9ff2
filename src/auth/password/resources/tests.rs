use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const MIB: u64 = 1 << 20;

/// A file tree of its own, removed at the end.
struct Tree(PathBuf);

impl Tree {
    fn with(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mini-api-resources-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let tree = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&tree.0).unwrap();
        for (path, text) in files {
            let path = tree.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        tree
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn limit_of(files: &[(&str, &str)]) -> Option<u64> {
    Resources::detect(&Tree::with(files).0).memory
}

fn number(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

#[test]
fn without_cgroups_memory_has_no_limit_and_there_is_a_core() {
    assert_eq!(limit_of(&[]), None);
    assert!(Resources::detect(Path::new("/")).cores.get() >= 1);
}

#[test]
fn version_2_in_a_container_of_its_own_namespace() {
    assert_eq!(
        limit_of(&[("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "134217728\n")]),
        Some(128 * MIB)
    );
}

#[test]
fn version_2_takes_the_tightest_limit_on_the_way_up() {
    let nested = |slice: &str, service: &str| {
        limit_of(&[
            ("proc/self/cgroup", "0::/system.slice/mini-api.service\n"),
            ("sys/fs/cgroup/system.slice/memory.max", slice),
            ("sys/fs/cgroup/system.slice/mini-api.service/memory.max", service),
            ("sys/fs/cgroup/other.slice/memory.max", "1048576\n"),
        ])
    };
    assert_eq!(nested("209715200\n", "314572800\n"), Some(200 * MIB));
    assert_eq!(nested("419430400\n", "314572800\n"), Some(300 * MIB));
    assert_eq!(nested("max\n", "314572800\n"), Some(300 * MIB));
    assert_eq!(nested("max\n", "max\n"), None);
}

#[test]
fn version_2_where_the_kernel_would_stall_counts_as_a_limit() {
    assert_eq!(
        limit_of(&[
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "max\n"),
            ("sys/fs/cgroup/memory.high", "104857600\n"),
        ]),
        Some(100 * MIB)
    );
}

#[test]
fn version_1_by_its_own_path_and_without_the_huge_number_that_means_none() {
    let v1 = |limit: &str| {
        limit_of(&[
            ("proc/self/cgroup", "9:name=systemd:/\n5:hugetlb,memory:/docker/0a1b\n1:cpu,cpuacct:/else\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/docker/0a1b/memory.limit_in_bytes", limit),
            ("sys/fs/cgroup/memory/else/memory.limit_in_bytes", "1048576\n"),
        ])
    };
    assert_eq!(v1("268435456\n"), Some(256 * MIB));
    assert_eq!(v1("9223372036854771712\n"), None);
}

#[test]
fn version_1_where_the_mount_shows_the_containers_group_as_its_root() {
    assert_eq!(
        limit_of(&[
            ("proc/self/cgroup", "4:memory:/kubepods/burstable/pod1/0a1b\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "100663296\n"),
        ]),
        Some(96 * MIB)
    );
}

#[test]
fn a_hybrid_system_is_asked_both_ways() {
    let hybrid = |v1: &str, v2: &str| {
        limit_of(&[
            ("proc/self/cgroup", "4:memory:/app\n0::/app\n"),
            ("sys/fs/cgroup/memory/app/memory.limit_in_bytes", v1),
            ("sys/fs/cgroup/unified/app/memory.max", v2),
        ])
    };
    assert_eq!(hybrid("134217728\n", "268435456\n"), Some(128 * MIB));
    assert_eq!(hybrid("268435456\n", "134217728\n"), Some(128 * MIB));
}

#[test]
fn a_group_outside_the_namespace_leaves_only_the_mount_to_ask() {
    assert_eq!(
        limit_of(&[
            ("proc/self/cgroup", "0::/../../escape\n"),
            ("sys/fs/cgroup/memory.max", "134217728\n"),
            ("sys/escape/memory.max", "1048576\n"),
            ("sys/fs/cgroup/escape/memory.max", "1048576\n"),
            ("escape/memory.max", "1048576\n"),
        ]),
        Some(128 * MIB)
    );
}

#[test]
fn what_cannot_be_read_limits_nothing() {
    let v2 = |text: &str| limit_of(&[("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", text)]);
    assert_eq!(v2(""), None);
    assert_eq!(v2("plenty\n"), None);
    assert_eq!(v2("-1\n"), None);
    assert_eq!(v2("99999999999999999999999\n"), None);
    // A folder in a file's place cannot be read by anyone, root included.
    assert_eq!(limit_of(&[("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max/x", "")]), None);
    assert_eq!(
        limit_of(&[("proc/self/cgroup", "nonsense"), ("sys/fs/cgroup/memory.max", "134217728")]),
        Some(128 * MIB)
    );
    assert_eq!(limit_of(&[("sys/fs/cgroup/memory.max", "134217728")]), Some(128 * MIB));
}

#[test]
fn slots_are_as_many_as_cores_and_memory_allow() {
    for (cores, memory, slots) in [
        (1, None, 1),
        (8, None, 8),
        (2, Some(4096 * MIB), 2),
        (8, Some(128 * MIB), 4),
        (8, Some(128 * MIB - 1), 3),
        (2, Some(96 * MIB), 2),
        (2, Some(95 * MIB), 1),
        (4, Some(64 * MIB), 1),
        (4, Some(1), 1),
        (4, Some(0), 1),
        (64, Some(UNLIMITED - 1), 64),
    ] {
        let resources = Resources { cores: number(cores), memory };
        assert_eq!(resources.slots(Cost::OWASP), number(slots), "{cores} cores, {memory:?} bytes");
    }
}

#[test]
fn a_stored_hash_may_occupy_its_slots_share_and_always_as_much_as_todays() {
    for (memory, slots, bytes) in [
        (None, 2, 128 * MIB),
        (Some(4096 * MIB), 2, 128 * MIB),
        (Some(128 * MIB), 2, 32 * MIB),
        (Some(128 * MIB), 4, 16 * MIB),
        (Some(64 * MIB), 1, 16 * MIB),
    ] {
        let resources = Resources { cores: number(1), memory };
        assert_eq!(resources.memory_a_hash(number(slots), Cost::OWASP), bytes, "{memory:?} {slots}");
    }
}
