//! Runs a command and its children under ptrace, numbers the calls by which they change files, and stops or fails one of them.
//!
//! A *point* is a call that writes, creates, links, renames, syncs or removes; points are numbered from 1 in the order in which the command
//! and its children come to them, so that a number says where a run was stopped. Reads are no points, nor is what is written to standard
//! output, standard error or a pipe. Threads that help the command are held at their points until it waits for them, and then go on one after
//! the other: whatever order they come in by chance, the numbers are the same in every run.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::support::Run;

/// What is done at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing: the points are only counted.
    Watch,
    /// Every process is killed before the call.
    Kill,
    /// Half of what was to be written is, then every process is killed. Any other call is made whole.
    Tear,
    /// The command gets a signal that dumps core.
    Crash,
    /// The call is not made, and fails so.
    Fail(Errno),
    /// This point and every later one fail so.
    FailFrom(Errno),
}

/// A call that changes files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The call's name.
    pub call: &'static str,
    /// The file that it is about, where the system lets us see it.
    pub about: String,
}

/// A program that was started, as the system shows it to everybody.
#[derive(Debug)]
pub struct Program {
    /// Ended by NULs.
    pub arguments: Vec<u8>,
    /// Ended by NULs.
    pub variables: Vec<u8>,
}

impl Program {
    /// What it is called by.
    pub fn name(&self) -> String {
        self.arguments.split(|byte| *byte == 0).map(String::from_utf8_lossy).next().unwrap_or_default().into_owned()
    }
}

/// What became of a traced command.
#[derive(Debug)]
pub struct Traced {
    /// The programs that were started, the command first.
    pub programs: Vec<Program>,
    /// The points that it came to.
    pub points: Vec<Point>,
    /// Exit code, or -1 when it was killed, and what it printed.
    pub run: Run,
}

impl Traced {
    /// The point where something was done; none when the command ended before.
    pub fn hit(&self, at: usize) -> Option<&Point> {
        at.checked_sub(1).and_then(|index| self.points.get(index))
    }
}

/// Runs `program` with `command`'s surroundings, and does `act` at the point numbered `at`. The command must not have been given any
/// standard stream.
pub fn trace(command: &Command, input: &[u8], at: usize, act: Act) -> Traced {
    let (mut out, mut err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    // The shell waits until it is traced, then becomes the command.
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -c unlimited; read -r _; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(command.get_current_dir().unwrap());
    shell.stdin(Stdio::piped()).stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
    #[expect(clippy::zombie_processes, reason = "the tracer waits for it, as for all of its processes")]
    let mut child = shell.spawn().unwrap();
    let root = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let options = ptrace::Options::PTRACE_O_TRACESYSGOOD
        | ptrace::Options::PTRACE_O_TRACEFORK
        | ptrace::Options::PTRACE_O_TRACEVFORK
        | ptrace::Options::PTRACE_O_TRACECLONE
        | ptrace::Options::PTRACE_O_TRACEEXEC
        | ptrace::Options::PTRACE_O_EXITKILL;
    ptrace::seize(root, options).unwrap();
    ptrace::interrupt(root).unwrap();
    // If the system has yet to tell of the shell's own start, it does so first, and it is not the command's.
    waitpid(root, None).unwrap();
    go_on(root, None);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"\n").unwrap();
    stdin.write_all(input).unwrap();
    drop(stdin);
    let mut tracer = Tracer {
        root,
        at,
        act,
        started: false,
        programs: Vec::new(),
        points: Vec::new(),
        pending: HashMap::new(),
        held: BTreeSet::new(),
        waiting: HashSet::new(),
        turn: None,
        alive: vec![root],
        code: -1,
    };
    while tracer.step() {}
    let read = |file: &mut fs::File| {
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    };
    let (bytes, err) = (read(&mut out), read(&mut err));
    let run = Run {
        code: tracer.code,
        out: String::from_utf8_lossy(&bytes).into_owned(),
        err: String::from_utf8_lossy(&err).into_owned(),
        bytes,
    };
    Traced { programs: tracer.programs, points: tracer.points, run }
}

/// What is done when a call returns.
#[derive(Debug, Clone, Copy)]
enum Pending {
    Return(Errno),
    Die,
}

struct Tracer {
    root: Pid,
    at: usize,
    act: Act,
    /// Whether the shell has become the command.
    started: bool,
    programs: Vec<Program>,
    points: Vec<Point>,
    pending: HashMap<Pid, Pending>,
    /// Threads that are held at a point, those that wait for another, and the helping one that may go beyond its points.
    held: BTreeSet<Pid>,
    waiting: HashSet<Pid>,
    turn: Option<Pid>,
    alive: Vec<Pid>,
    code: i32,
}

impl Tracer {
    /// Deals with the next thing that happens to a process or thread; false when there is none left.
    fn step(&mut self) -> bool {
        // Other threads of these tests have children of their own.
        let mut flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        if self.all_rest() {
            // Nobody tells when the last has fallen asleep.
            flags |= WaitPidFlag::WNOHANG;
        }
        match waitpid(None, Some(flags)) {
            Ok(WaitStatus::StillAlive) => thread::sleep(Duration::from_micros(20)),
            Ok(WaitStatus::Exited(pid, code)) => self.gone(pid, code),
            Ok(WaitStatus::Signaled(pid, _, _)) => self.gone(pid, -1),
            Ok(WaitStatus::PtraceSyscall(pid)) => self.stopped(pid),
            Ok(WaitStatus::PtraceEvent(pid, _, event)) => {
                if event == libc::PTRACE_EVENT_CLONE {
                    let thread = ptrace::getevent(pid).ok().and_then(|thread| libc::pid_t::try_from(thread).ok());
                    self.alive.extend(thread.map(Pid::from_raw));
                }
                if event == libc::PTRACE_EVENT_EXEC {
                    self.started = true;
                    let read = |what| fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
                    self.programs.push(Program { arguments: read("cmdline"), variables: read("environ") });
                }
                if !self.alive.contains(&pid) {
                    self.alive.push(pid);
                }
                go_on(pid, None);
            }
            Ok(WaitStatus::Stopped(pid, signal)) => go_on(pid, Some(signal)),
            Ok(_) => {}
            Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return false,
            Err(error) => panic!("waiting for a traced process failed: {error}"),
        }
        self.give_turn();
        true
    }

    /// Whether `pid` is one of the command's own threads, and not the first.
    fn helps(&self, pid: Pid) -> bool {
        pid != self.root && fs::exists(format!("/proc/{}/task/{pid}", self.root)).unwrap_or_default()
    }

    /// `pid` stands before or behind a call.
    fn stopped(&mut self, pid: Pid) {
        // It may have been killed meanwhile.
        let Ok(registers) = ptrace::getregs(pid) else { return go_on(pid, None) };
        if waits(&registers) {
            self.waiting.insert(pid);
            self.turn.take_if(|turn| *turn == pid);
        } else {
            self.waiting.remove(&pid);
        }
        if self.holds(pid, &registers) {
            self.held.insert(pid);
        } else {
            self.pass(pid, registers);
        }
    }

    /// Whether `pid` is a helping thread at a point that it must not go beyond yet.
    fn holds(&self, pid: Pid, registers: &libc::user_regs_struct) -> bool {
        self.turn != Some(pid) && begins(registers) && point(pid, registers).is_some() && self.helps(pid)
    }

    /// Lets one of the held threads go on, once nothing goes on without it: who flushes before who does anything else, for which of
    /// the threads has got which work is chance.
    fn give_turn(&mut self) {
        // Who has been woken already goes on first, however late we hear of it.
        if self.all_rest()
            && self.waiting.iter().all(|pid| self.sleeps(*pid))
            && let Some(pid) = self.held.iter().copied().min_by_key(|pid| (!flushes(*pid), *pid))
        {
            self.held.remove(&pid);
            self.turn = Some(pid);
            self.stopped(pid);
        }
    }

    /// Whether some are held, and nobody does anything as far as we have heard.
    fn all_rest(&self) -> bool {
        let rests = |pid: &Pid| self.held.contains(pid) || self.waiting.contains(pid);
        self.turn.is_none()
            && !self.held.is_empty()
            && self.waiting.contains(&self.root)
            && self.alive.iter().all(|pid| rests(pid) || *pid != self.root && !self.helps(*pid))
    }

    /// Whether `pid` sleeps, rather than runs or is about to. Others than the command's own threads don't matter.
    fn sleeps(&self, pid: Pid) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/task/{pid}/stat", self.root));
        stat.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S')))
            || pid != self.root && !self.helps(pid)
    }

    fn pass(&mut self, pid: Pid, registers: libc::user_regs_struct) {
        self.call(pid, registers);
        go_on(pid, None);
    }

    fn gone(&mut self, pid: Pid, code: i32) {
        self.alive.retain(|other| *other != pid);
        self.held.remove(&pid);
        self.waiting.remove(&pid);
        self.turn.take_if(|turn| *turn == pid);
        if pid == self.root {
            self.code = code;
        }
    }

    fn kill_all(&self) {
        for pid in &self.alive {
            // Some may be gone already.
            let _ = kill(*pid, Signal::SIGKILL);
        }
    }

    /// A system call begins or returns.
    fn call(&mut self, pid: Pid, mut registers: libc::user_regs_struct) {
        match self.pending.remove(&pid) {
            Some(Pending::Return(errno)) => {
                registers.rax = (-i64::from(errno as i32)).cast_unsigned();
                ptrace::setregs(pid, registers).unwrap();
                return;
            }
            Some(Pending::Die) => return self.kill_all(),
            None => {}
        }
        if !begins(&registers) {
            return;
        }
        let Some(point) = self.started.then(|| point(pid, &registers)).flatten() else { return };
        self.points.push(point);
        let fails_on = matches!(self.act, Act::FailFrom(_)) && self.points.len() > self.at;
        if self.points.len() != self.at && !fails_on {
            return;
        }
        match self.act {
            Act::Watch => {}
            Act::Kill => self.kill_all(),
            Act::Crash => kill(self.root, Signal::SIGSEGV).unwrap(),
            Act::Tear => {
                if matches!(registers.orig_rax.cast_signed(), libc::SYS_write | libc::SYS_pwrite64) {
                    registers.rdx /= 2;
                    ptrace::setregs(pid, registers).unwrap();
                }
                self.pending.insert(pid, Pending::Die);
            }
            Act::Fail(errno) | Act::FailFrom(errno) => {
                // No call has this number.
                registers.orig_rax = u64::MAX;
                ptrace::setregs(pid, registers).unwrap();
                self.pending.insert(pid, Pending::Return(errno));
            }
        }
    }
}

/// Whether a call has not been made yet: this is what the kernel puts there.
fn begins(registers: &libc::user_regs_struct) -> bool {
    registers.rax.cast_signed() == -i64::from(libc::ENOSYS)
}

/// Whether a call is about to wait for another thread.
fn waits(registers: &libc::user_regs_struct) -> bool {
    let command = registers.rsi & u64::from(u8::MAX >> 1);
    let wait = [libc::FUTEX_WAIT, libc::FUTEX_WAIT_BITSET].iter().any(|wait| u64::try_from(*wait) == Ok(command));
    begins(registers) && registers.orig_rax.cast_signed() == libc::SYS_futex && wait
}

/// Whether what `pid` stands before is a flush.
fn flushes(pid: Pid) -> bool {
    let calls = [libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_syncfs];
    ptrace::getregs(pid).is_ok_and(|registers| calls.contains(&registers.orig_rax.cast_signed()))
}

/// Lets a stopped process run until its next call. It may have been killed meanwhile.
fn go_on(pid: Pid, signal: Option<Signal>) {
    let _ = ptrace::syscall(pid, signal);
}

/// What a call is about.
#[derive(Clone, Copy)]
enum About {
    /// An open file.
    File(u64),
    /// A path at this address.
    Path(u64),
}

/// The point that a call is; none for one that changes no file.
fn point(pid: Pid, registers: &libc::user_regs_struct) -> Option<Point> {
    use About::{File, Path};
    let [first, second, third, fourth] = [registers.rdi, registers.rsi, registers.rdx, registers.r10];
    let creates = |flags: u64| flags & (libc::O_CREAT | libc::O_TRUNC) as u64 != 0;
    let (call, about) = match registers.orig_rax.cast_signed() {
        libc::SYS_write => ("write", File(first)),
        libc::SYS_writev => ("writev", File(first)),
        libc::SYS_pwrite64 => ("pwrite64", File(first)),
        libc::SYS_pwritev => ("pwritev", File(first)),
        libc::SYS_pwritev2 => ("pwritev2", File(first)),
        libc::SYS_sendfile => ("sendfile", File(first)),
        libc::SYS_copy_file_range => ("copy_file_range", File(third)),
        libc::SYS_ftruncate => ("ftruncate", File(first)),
        libc::SYS_fallocate => ("fallocate", File(first)),
        libc::SYS_fsync => ("fsync", File(first)),
        libc::SYS_fdatasync => ("fdatasync", File(first)),
        libc::SYS_syncfs => ("syncfs", File(first)),
        libc::SYS_sync_file_range => ("sync_file_range", File(first)),
        libc::SYS_fchmod => ("fchmod", File(first)),
        libc::SYS_open if creates(second) => ("open", Path(first)),
        libc::SYS_openat if creates(third) => ("openat", Path(second)),
        libc::SYS_creat => ("creat", Path(first)),
        libc::SYS_truncate => ("truncate", Path(first)),
        libc::SYS_chmod => ("chmod", Path(first)),
        libc::SYS_fchmodat => ("fchmodat", Path(second)),
        libc::SYS_link => ("link", Path(second)),
        libc::SYS_linkat => ("linkat", Path(fourth)),
        libc::SYS_symlink => ("symlink", Path(second)),
        libc::SYS_symlinkat => ("symlinkat", Path(third)),
        libc::SYS_mkdir => ("mkdir", Path(first)),
        libc::SYS_mkdirat => ("mkdirat", Path(second)),
        libc::SYS_rename => ("rename", Path(second)),
        libc::SYS_renameat => ("renameat", Path(fourth)),
        libc::SYS_renameat2 => ("renameat2", Path(fourth)),
        libc::SYS_unlink => ("unlink", Path(first)),
        libc::SYS_unlinkat => ("unlinkat", Path(second)),
        libc::SYS_rmdir => ("rmdir", Path(first)),
        _ => return None,
    };
    let about = match about {
        File(0..=2) => return None,
        File(number) => match fs::read_link(format!("/proc/{pid}/fd/{number}")) {
            Ok(path) if path.is_absolute() && !path.starts_with("/dev/null") => path.display().to_string(),
            // A pipe, a socket, an event counter.
            Ok(_) => return None,
            // Only root may see what a process that dumps no core has open.
            Err(_) => number.to_string(),
        },
        Path(address) => text_at(pid, address),
    };
    Some(Point { call, about })
}

/// The text at `address` in the process's memory, as much of it as there is.
fn text_at(pid: Pid, address: u64) -> String {
    let mut bytes = Vec::new();
    for word in 0..512 {
        let Ok(word) = ptrace::read(pid, (address + 8 * word) as ptrace::AddressType) else { break };
        bytes.extend(word.to_ne_bytes());
        if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
            bytes.truncate(end);
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
