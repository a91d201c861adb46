//! A file system of its own on a disk of its own, which a test can fill and break.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// Unmounted when it is dropped.
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// `None` when this run was not told that it may mount.
    pub fn new(bytes: u64) -> Option<Self> {
        if std::env::var_os("MCPHUB_TEST_MOUNT").is_none() {
            println!("NOT RUN: set MCPHUB_TEST_MOUNT=1 as root, who may mount a disk");
            return None;
        }
        let disk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        // PostgreSQL runs as another user than root.
        let passable = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        fs::set_permissions(disk.folder.path(), passable).unwrap();
        fs::create_dir(disk.path()).unwrap();
        let image = disk.image();
        fs::File::create(&image).unwrap().set_len(bytes).unwrap();
        run("mkfs.ext4", &["-q", "-F", &image]);
        disk.mount();
        Some(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    fn image(&self) -> String {
        self.folder.path().join("disk").display().to_string()
    }

    fn mounted(&self) -> String {
        self.path().display().to_string()
    }

    fn mount(&self) {
        let options = "loop,errors=remount-ro";
        run("mount", &["-o", options, &self.image(), &self.mounted()]);
    }

    /// Leaves room for nothing, until what this gives is removed.
    pub fn fill(&self) -> PathBuf {
        let ballast = self.path().join("ballast");
        let mut file = fs::File::create(&ballast).unwrap();
        for piece in [vec![0; 1 << 20], vec![0; 4_096], vec![0; 1]] {
            while file.write_all(&piece).is_ok() {}
        }
        ballast
    }

    /// As an error of the disk does: who has files open for writing does not keep it from that.
    pub fn turn_read_only(&self) {
        let device = run("findmnt", &["-no", "SOURCE", &self.mounted()]);
        let device = device.trim().trim_start_matches("/dev/");
        let trigger = format!("/sys/fs/ext4/{device}/trigger_fs_error");
        fs::write(trigger, "a test").unwrap();
    }

    /// As whoever looks after the machine does.
    pub fn mend(&self) {
        run("umount", &[&self.mounted()]);
        // It ends with 1 when it mended something.
        let image = self.image();
        let check = Command::new("e2fsck").args(["-f", "-y", &image]).output();
        let code = check.unwrap().status.code();
        assert!(matches!(code, Some(0 | 1)), "e2fsck: {code:?}");
        self.mount();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .args(["-l", &self.mounted()])
            .output();
    }
}

/// What a program says.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
