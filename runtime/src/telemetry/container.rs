//! The ID of the container that the process runs in.

use std::fs;

/// The number of hexadecimal digits of an ID, of every runtime that is recognised.
const DIGITS: usize = 64;

/// The ID, if Linux shows it to the process. `None` outside of a container, on other systems, and in a cgroup namespace
/// of a runtime that mounts no file of its own.
pub(super) fn id() -> Option<String> {
    let read = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    of_cgroups(&read("/proc/self/cgroup")).or_else(|| of_mounts(&read("/proc/self/mountinfo")))
}

/// The ID is the last part of the path of a cgroup, without the prefix and the suffix that name the runtime and the
/// kind of the unit.
fn of_cgroups(lines: &str) -> Option<String> {
    lines.lines().find_map(last_part)
}

/// The root of a mount is the path of a cgroup, or that of a file that the runtime keeps for the container, such as
/// `…/containers/{id}/hostname`. Of several, the last one is that of the container, and not that of its pod.
fn of_mounts(lines: &str) -> Option<String> {
    let roots = || lines.lines().filter_map(|line| line.split(' ').nth(3));
    let mut mounted_files = roots().filter_map(|root| first_id(root.split_once("/containers/")?.1));
    roots().find_map(last_part).or_else(|| mounted_files.next_back())
}

fn last_part(path: &str) -> Option<String> {
    first_id(path.rsplit_once('/')?.1)
}

/// The first word of hexadecimal digits that has the length of an ID.
fn first_id(text: &str) -> Option<String> {
    let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    let mut words = text.split(|c: char| !is_digit(c));
    words.find(|word| word.len() == DIGITS).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "05c48c82caff3be3d7f1e896981dd410e81487538936914f32b624d168de9db0";
    const OTHER: &str = "713a77a26fe2a38ebebd5709604a048c3d380db1eb16aa43aca0b2499e54733c";

    #[test]
    fn cgroups() {
        let pod = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod4415fd05_2c0f.slice";
        for path in [
            format!("/docker/{ID}"),
            format!("/kubepods/burstable/pod4415fd05/{ID}"),
            format!("/system.slice/docker-{ID}.scope"),
            format!("/machine.slice/libpod-{ID}.scope"),
            format!("{pod}/crio-{ID}.scope"),
            format!("{pod}/cri-containerd-{ID}.scope"),
            format!("/system.slice/containerd.service/kubepods-pod87a18a64.slice:cri-containerd:{ID}"),
            // A container in a container.
            format!("/docker/{OTHER}/docker/{ID}"),
        ] {
            let lines = format!("12:pids:/\n11:devices:{path}\n0::{path}\n");
            assert_eq!(of_cgroups(&lines).as_deref(), Some(ID), "{path}");
        }
        for path in [
            "/",
            "/user.slice/user-0.slice/session-31207.scope",
            "/../../ac679f8.a8319c8cf7d38e1adf263bc08-d23",
            &format!("/docker/{}", &ID[1..]),
            &format!("/docker/0{ID}"),
            &format!("/docker/{}", ID.to_uppercase()),
            &format!("/docker/{ID}/init.scope"),
        ] {
            assert_eq!(of_cgroups(&format!("0::{path}\n")), None, "{path}");
        }
    }

    /// The lines of a container whose layers are mounted at `/`, with these roots of other mounts.
    fn mounts<'a>(roots: impl IntoIterator<Item = &'a str>) -> String {
        let layers = format!("456 375 0:143 / / rw - overlay overlay rw,upperdir=/var/lib/containers/{OTHER}/diff\n");
        let others =
            roots.into_iter().map(|root| format!("472 456 254:1 {root} /etc/hostname rw - ext4 /dev/vda1 rw\n"));
        std::iter::once(layers).chain(others).collect()
    }

    #[test]
    fn mounted_files() {
        let docker = format!("/var/lib/docker/containers/{ID}/hostname");
        let podman = format!("/containers/overlay-containers/{ID}/userdata/.containerenv");
        let pod = format!("/containers/storage/overlay-containers/{OTHER}/userdata/resolv.conf");
        let secrets = format!("/containers/storage/overlay-containers/{ID}/userdata/run/secrets");
        let cgroup = format!("/kubepods.slice/crio-{ID}.scope");
        for roots in [&[&*docker][..], &["/", &podman], &[&pod, &pod, &secrets], &[&pod, &cgroup, &pod]] {
            assert_eq!(of_mounts(&mounts(roots.iter().copied())).as_deref(), Some(ID), "{roots:?}");
        }
        let sandbox = format!("/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{OTHER}/hostname");
        let volume = "/var/lib/kubelet/pods/4415fd05-2c0f/containers/orders/1a2b3c4d";
        assert_eq!(of_mounts(&mounts([&*sandbox, volume])), None);
        assert_eq!(of_mounts(""), None);
    }
}
