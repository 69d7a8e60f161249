//! A disk that can lose its power: a file system over a block device with a volatile write cache.
//!
//! What is written stays in the cache until it is flushed or written through. A cut keeps, of every
//! unflushed sector, one of the versions that were in the cache or the old contents, as the seed
//! decides; then the device is dead, and what is left can be mounted again. The device is served over
//! NBD, turned into a file by `nbdfuse`, into a block device by a loop, and carries ext4; so a flush
//! that the kernel does not send is a flush that does not happen.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::nbd;
use crate::place;
use crate::seeded::Seeded;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What is on the platter, what is in the cache, and what has happened.
#[derive(Debug)]
pub struct Medium {
    stable: File,
    size: u64,
    /// Every version of each unflushed sector, oldest first.
    volatile: BTreeMap<u64, Vec<[u8; SECTOR]>>,
    dead: bool,
    fail_flush: bool,
    flushes: u64,
    writes: u64,
}

/// What a cut did.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Unflushed sectors, and how many of them the disk still has in some version.
    pub unflushed: usize,
    pub kept: usize,
    pub flushes: u64,
    pub writes: u64,
}

impl Medium {
    fn open(image: &Path) -> io::Result<Self> {
        let stable = File::options().read(true).write(true).open(image)?;
        let size = stable.metadata()?.len();
        let volatile = BTreeMap::new();
        Ok(Self { stable, size, volatile, dead: false, fail_flush: false, flushes: 0, writes: 0 })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn read(&self, offset: u64, data: &mut [u8]) -> io::Result<()> {
        self.alive()?;
        self.stable.read_exact_at(data, offset)?;
        let (sectors, _) = data.as_chunks_mut::<SECTOR>();
        for (number, sector) in (offset / SECTOR as u64..).zip(sectors) {
            if let Some(version) = self.volatile.get(&number).and_then(|versions| versions.last()) {
                *sector = *version;
            }
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, offset: u64, data: &[u8], forced: bool) -> io::Result<()> {
        self.alive()?;
        self.writes += 1;
        let (sectors, rest) = data.as_chunks::<SECTOR>();
        if !rest.is_empty() || !offset.is_multiple_of(SECTOR as u64) {
            return Err(io::Error::other("not whole sectors"));
        }
        let numbered = (offset / SECTOR as u64..).zip(sectors);
        if forced {
            self.stable.write_all_at(data, offset)?;
            for (number, _) in numbered {
                self.volatile.remove(&number);
            }
        } else {
            for (number, sector) in numbered {
                self.volatile.entry(number).or_default().push(*sector);
            }
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.alive()?;
        self.flushes += 1;
        if std::mem::take(&mut self.fail_flush) {
            // A disk that fails a flush may have dropped what it held, and says so only once.
            self.volatile.clear();
            return Err(io::Error::other("the flush failed"));
        }
        for (number, versions) in std::mem::take(&mut self.volatile) {
            if let Some(version) = versions.last() {
                self.stable.write_all_at(version, number * SECTOR as u64)?;
            }
        }
        Ok(())
    }

    fn alive(&self) -> io::Result<()> {
        if self.dead { Err(io::Error::other("no power")) } else { Ok(()) }
    }

    fn cut(&mut self, seeded: &mut Seeded) -> io::Result<Cut> {
        self.dead = true;
        let keep = [0, 20, 50, 80, 100][usize::try_from(seeded.below(5)).unwrap_or(0)];
        let unflushed = self.volatile.len();
        let mut kept = 0;
        for (number, versions) in std::mem::take(&mut self.volatile) {
            if !seeded.chance(keep) {
                continue;
            }
            let choice = seeded.below(versions.len() as u64);
            let version = &versions[usize::try_from(choice).unwrap_or(0)];
            self.stable.write_all_at(version, number * SECTOR as u64)?;
            kept += 1;
        }
        Ok(Cut { unflushed, kept, flushes: self.flushes, writes: self.writes })
    }
}

/// A mounted file system over a [`Medium`]. Dropped, it is taken apart.
#[derive(Debug)]
pub struct Device {
    medium: Arc<Mutex<Medium>>,
    fuse: Child,
    node: PathBuf,
    looped: String,
    /// Where it is mounted.
    pub mount: PathBuf,
}

impl Device {
    /// Why devices cannot be made on this machine, if they cannot.
    pub fn missing() -> Option<String> {
        let absent: Vec<&str> = ["nbdfuse", "losetup", "mkfs.ext4", "mount", "fusermount3"]
            .into_iter()
            .filter(|name| tool(name).is_none())
            .collect();
        if !absent.is_empty() {
            return Some(format!("no {}; see ci/tools", absent.join(", no ")));
        }
        if !Path::new("/dev/fuse").exists() || !Path::new("/dev/loop-control").exists() {
            return Some("no FUSE or no loop devices in this kernel or container".into());
        }
        let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
        if root { None } else { Some("mounting needs root".into()) }
    }

    /// Makes an empty file system of `megabytes` in a new image file.
    ///
    /// # Errors
    /// When the image cannot be made.
    pub fn format(image: &Path, megabytes: u64) -> io::Result<()> {
        File::create(image)?.set_len(megabytes << 20)?;
        run("mkfs.ext4", |command| command.args(["-q", "-F", "-E", "nodiscard"]).arg(image))
    }

    /// Mounts an image. `dir` holds its socket and its mount points.
    ///
    /// # Errors
    /// When one of the layers cannot be made.
    pub fn mount(image: &Path, dir: &Path) -> io::Result<Self> {
        let medium = Arc::new(Mutex::new(Medium::open(image)?));
        let (socket, node, mount) = (dir.join("nbd"), dir.join("node"), dir.join("disk"));
        if socket.exists() {
            fs::remove_file(&socket)?;
        }
        fs::create_dir_all(&node)?;
        fs::create_dir_all(&mount)?;
        nbd::serve(&socket, &medium)?;
        let file = node.join("device");
        let fuse = Command::new("nbdfuse")
            .arg(&file)
            .arg("--unix")
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut device = Self { medium, fuse, node, looped: String::new(), mount };
        device.await_file(&file)?;
        let made =
            command("losetup")?.args(["--show", "-f", "--direct-io=on"]).arg(&file).output()?;
        device.looped = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        if !made.status.success() || device.looped.is_empty() {
            return Err(io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
        }
        let (looped, mount) = (device.looped.clone(), device.mount.clone());
        run("mount", |command| command.args(["-t", "ext4", &looped]).arg(&mount))?;
        Ok(device)
    }

    fn await_file(&mut self, file: &Path) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !file.exists() {
            if Instant::now() > deadline || !matches!(self.fuse.try_wait(), Ok(None)) {
                return Err(io::Error::other("nbdfuse did not serve the device"));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn medium(&self) -> io::Result<MutexGuard<'_, Medium>> {
        self.medium.lock().map_err(|_poisoned| io::Error::other("the medium is broken"))
    }

    /// Takes the power away: from now on every request fails. The image holds what survived.
    ///
    /// # Errors
    /// When the image cannot be written.
    pub fn cut(&self, seeded: &mut Seeded) -> io::Result<Cut> {
        self.medium()?.cut(seeded)
    }

    /// The next flush fails and loses what was unflushed; the ones after it succeed.
    ///
    /// # Errors
    /// When the medium is broken.
    pub fn fail_next_flush(&self) -> io::Result<()> {
        self.medium()?.fail_flush = true;
        Ok(())
    }

    /// Whether a flush that was to fail has been asked for.
    ///
    /// # Errors
    /// When the medium is broken.
    pub fn flush_has_failed(&self) -> io::Result<bool> {
        Ok(!self.medium()?.fail_flush)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // The layers above must be free of users; a lazy unmount frees them when they are not.
        let mount = &self.mount;
        if run("umount", |command| command.arg(mount)).is_err() {
            let _lazily = run("umount", |command| command.arg("-l").arg(mount));
        }
        if !self.looped.is_empty() {
            let looped = self.looped.clone();
            let _detached = run("losetup", |command| command.args(["-d", &looped]));
        }
        let node = self.node.clone();
        if run("fusermount3", |command| command.arg("-u").arg(&node)).is_err() {
            let _lazily = run("fusermount3", |command| command.arg("-uz").arg(&node));
        }
        let _killed = self.fuse.kill();
        let _ended = self.fuse.wait();
    }
}

/// A tool on the search path, or where tools of the administrator are.
fn tool(name: &str) -> Option<PathBuf> {
    let places = ["/usr/sbin", "/sbin"].map(|place| Path::new(place).join(name));
    place::program(name).or_else(|| places.into_iter().find(|file| file.is_file()))
}

fn command(name: &str) -> io::Result<Command> {
    tool(name).map(Command::new).ok_or_else(|| io::Error::other(format!("no {name}")))
}

fn run(name: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) -> io::Result<()> {
    let mut command = command(name)?;
    let output = arguments(&mut command).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{name}: {}", text.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn medium() -> (PathBuf, Medium) {
        let dir = place::scratch(&format!("medium-{:?}", thread::current().id())).unwrap();
        let image = dir.join("image");
        File::create(&image).unwrap().set_len(1 << 20).unwrap();
        (dir, Medium::open(&image).unwrap())
    }

    #[test]
    fn flushed_and_forced_sectors_outlive_a_cut_and_the_others_may_not() {
        let mut lost = 0;
        for seed in 0..20 {
            let (dir, mut medium) = medium();
            medium.write(0, &[1; 4096], false).unwrap();
            medium.flush().unwrap();
            medium.write(4096, &[2; 4096], true).unwrap();
            medium.write(8192, &[3; 4096], false).unwrap();
            let cut = medium.cut(&mut Seeded::new(seed)).unwrap();
            assert_eq!(cut.unflushed, 8);
            lost += cut.unflushed - cut.kept;
            assert!(medium.read(0, &mut [0; 512]).is_err());
            let image = fs::read(dir.join("image")).unwrap();
            assert!(image[..4096].iter().all(|byte| *byte == 1));
            assert!(image[4096..8192].iter().all(|byte| *byte == 2));
            let third = &image[8192..8192 + 4096];
            assert_eq!(third.iter().filter(|byte| **byte == 3).count(), cut.kept * SECTOR);
            fs::remove_dir_all(dir).unwrap();
        }
        assert!(lost > 0);
    }

    #[test]
    fn a_failed_flush_drops_the_cache_and_the_next_one_lies() {
        let (dir, mut medium) = medium();
        medium.write(0, &[1; 512], false).unwrap();
        medium.fail_flush = true;
        assert!(medium.flush().is_err());
        medium.flush().unwrap();
        let mut read = [9; 512];
        medium.read(0, &mut read).unwrap();
        assert_eq!(read, [0; 512]);
        fs::remove_dir_all(dir).unwrap();
    }
}
