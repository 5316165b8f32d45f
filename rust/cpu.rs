//! The instruction sets that kernels are compiled for, and which of them this CPU has.
//!
//! `IMUSPEC_CPU=plain|neon|avx2|avx512` takes a lower one than the best, for measuring and for tests.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::error::{Error, Result};

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// What every CPU of the architecture has; on 64-bit ARM loops that name no instruction.
    Plain,
    /// 128-bit vectors and fused multiply-add of 64-bit ARM, where every CPU has them.
    Neon,
    /// 256-bit vectors and fused multiply-add.
    Avx2,
    /// 512-bit vectors, of bytes and words too, and their instructions on shorter ones.
    Avx512,
}

impl Path {
    /// All of them, the narrowest first.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Neon, Self::Avx2, Self::Avx512];

    /// Whether this CPU has all instructions of the path. The answer is cached: a few loads.
    #[inline]
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = || is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = || {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            };
            match self {
                Self::Plain => true,
                Self::Neon => false,
                Self::Avx2 => avx2(),
                Self::Avx512 => avx2() && avx512(),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Self::Plain || (self == Self::Neon && cfg!(target_arch = "aarch64"))
        }
    }

    /// The paths that this CPU can run, the plain one first.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|path| path.is_available()).collect()
    }

    /// The path of the name that `IMUSPEC_CPU` takes.
    ///
    /// # Errors
    /// [`Error::Value`] for a name that is not one of [`Path::available`].
    pub fn named(name: &str) -> Result<Self> {
        let paths = Self::available();
        paths.iter().copied().find(|path| path.name() == name).ok_or_else(|| {
            let names: Vec<_> = paths.iter().map(|path| path.name()).collect();
            Error::value("IMUSPEC_CPU", format!("one that this CPU has of {}", names.join(", ")), format!("{name:?}"))
        })
    }

    /// The path that `IMUSPEC_CPU` names, else the widest of this CPU.
    ///
    /// # Errors
    /// As [`Path::named`]; the extension module is not imported then.
    pub fn from_environment() -> Result<Self> {
        match std::env::var_os("IMUSPEC_CPU").filter(|name| !name.is_empty()) {
            Some(name) => Self::named(&name.to_string_lossy()),
            None => Ok(Self::available().pop().unwrap_or(Self::Plain)),
        }
    }

    /// [`Path::from_environment`], read once; the plain path where the environment names one that is not there.
    #[inline]
    pub fn best() -> Self {
        // No lock: a child that is forked while a thread writes reads the environment again.
        static BEST: AtomicU8 = AtomicU8::new(u8::MAX);
        if let Some(&path) = Self::ALL.get(usize::from(BEST.load(Ordering::Relaxed))) {
            return path;
        }
        let path = Self::from_environment().unwrap_or(Self::Plain);
        BEST.store(path as u8, Ordering::Relaxed);
        path
    }

    /// The name that `IMUSPEC_CPU` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_by_its_name_and_an_unknown_one_is_refused_with_the_known_ones() {
        for path in Path::available() {
            assert_eq!(Path::named(path.name()).unwrap(), path);
        }
        let text = Path::named("sse9").unwrap_err().to_string();
        assert!(text.starts_with("IMUSPEC_CPU: expected one that this CPU has of plain"), "{text}");
        assert!(text.ends_with("got \"sse9\""), "{text}");
    }

    #[test]
    fn the_tests_run_on_the_path_that_the_environment_names() {
        assert_eq!(Path::best(), Path::from_environment().unwrap());
    }
}
