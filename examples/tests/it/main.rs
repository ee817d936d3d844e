//! The example files and programs, the layering of the workspace, and the repository as a whole.

mod files;
mod layering;
mod programs;
mod repository;
