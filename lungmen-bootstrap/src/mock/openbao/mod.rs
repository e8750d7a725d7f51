//! In-process OpenBao.
