//! The process's stderr, for log lines its environment asks for.

/// Writes this in one piece. What cannot be written is lost.
#[cfg(unix)]
pub(crate) fn write(line: &str) {
    use nix::errno::Errno;

    // Past the lock of the standard library, whose holder may not be there in a forked child.
    let stderr = std::io::stderr();
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match nix::unistd::write(&stderr, rest) {
            Ok(0) => return,
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

/// Writes this in one piece. What cannot be written is lost.
#[cfg(not(unix))]
pub(crate) fn write(line: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
}
