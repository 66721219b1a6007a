//! The images of the stories. In the sandbox they hold a word; on real nodes they hold a program that does
//! what the word says.

use slipway_sandbox::Image;

use super::Trouble;

const BUSYBOX: &str = "/bin/busybox";
const PAGE: &str = "/www/index.html";
const HTTPD: &str = "/bin/busybox httpd -f -p 8080 -h /www";

/// A program that serves this word.
pub(super) fn serves(word: &str, is_real: bool) -> Image {
    let image = Image::new("linux/amd64", word);
    if is_real { shell(image.file(PAGE, word.to_owned()), &format!("exec {HTTPD}")) } else { image }
}

/// The new image of a story.
pub(super) fn of(trouble: Trouble, is_real: bool) -> Image {
    let image = Image::new("linux/amd64", "new");
    if !is_real {
        return image;
    }
    match trouble {
        Trouble::Crash => shell(image, "echo 'boom: cannot connect to db'; exit 3"),
        Trouble::LateCrash => {
            // One stream: containerd keeps no order between two, and the shell says "Terminated" on the other.
            let life =
                format!("exec 2>&1; {BUSYBOX} timeout 9 {HTTPD}; echo 'lost the database'; exit 1");
            shell(image.file(PAGE, "new"), &life)
        }
        Trouble::NeverReady => shell(image, "echo up; exec /bin/busybox sleep 1000"),
        Trouble::Memory => shell(image, "exec /bin/busybox tail /dev/zero"),
        Trouble::LyingImage => image.file(BUSYBOX, foreign()).command(&[BUSYBOX]),
        Trouble::NoFormat => image.file("/bin/start", "neither one").command(&["/bin/start"]),
        // An image that no node has: what is there need not be pulled.
        Trouble::PullDenied => serves("denied", is_real),
        _ => serves("new", is_real),
    }
}

fn shell(image: Image, script: &str) -> Image {
    image.file(BUSYBOX, busybox()).command(&[BUSYBOX, "sh", "-c", script])
}

fn busybox() -> Vec<u8> {
    std::fs::read(BUSYBOX).expect("busybox-static is installed by the testbed")
}

/// A program for another machine: what says so in its head is changed (EM_AARCH64).
fn foreign() -> Vec<u8> {
    let mut program = busybox();
    program[18..20].copy_from_slice(&[0xb7, 0]);
    program
}
