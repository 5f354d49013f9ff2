//! What takes root to set up: a disk that fills, and a pooler that only the system's packages have.

mod disk;
mod pooler;
