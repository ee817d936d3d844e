//! `anon import`: de-identifies files, directories and DICOMDIR media.

use std::sync::Arc;
use std::thread;

use anon_engine::source::FileScan;
use anon_model::ProjectSettings;
use anyhow::Context as _;

use crate::args::Import;
use crate::command::outcome::{self, InstancePrinter};
use crate::command::{Context, new_project};
use crate::exit::{ExitStatus, Failure};
use crate::log;
use crate::project::lock::Lock;
use crate::project::record::Summary;
use crate::project::roots::Roots;
use crate::project::trust::Purpose;
use crate::project::{OpenProject, Project};
use crate::work::control::{Request, Response};
use crate::work::{Job, Jobs, run_or_hand_over};

pub(crate) fn run(context: &Context<'_>, args: &Import) -> anyhow::Result<ExitStatus> {
    let project = Project::chosen(context.project(), Purpose::Any)?;
    for path in &args.paths {
        std::fs::metadata(path)
            .with_context(|| Failure::CannotRun(format!("cannot import {}", path.display())))?;
    }
    let settings = open_or_make(context, &project, args)?;
    log::start(&project, &settings.log, &context.global)?;
    let roots = Roots::of(&args.paths).context(Failure::CannotRun(
        "the working directory cannot be found".into(),
    ))?;
    let printer = InstancePrinter::new(context).naming(&args.paths);
    let mut import = ImportJob {
        context,
        project: &project,
        settings: &settings,
        args,
        roots: &roots,
        printer: &printer,
        counting: None,
    };
    let summary = run_or_hand_over(&project, &context.signals, &mut import);
    drop(import);
    context.report.end_progress();
    let summary = summary?;
    // Reports an event that could not be printed. Printing the summary would fail in the same way.
    printer.result()?;
    outcome::print_summary(context, "import", &summary)?;
    Ok(outcome::exit_status_of(context, &summary))
}

fn open_or_make(
    context: &Context<'_>,
    project: &Project,
    args: &Import,
) -> anyhow::Result<ProjectSettings> {
    if project.exists() {
        let settings = context.settings(project)?;
        new_project::check_against(project, &settings, &args.options)?;
        return Ok(settings);
    }
    let settings = new_project::make(context, project, &args.options)?;
    context.report.info(&format!(
        "created the project {} in {}, site id {}",
        settings.name,
        project.root().display(),
        settings.site_id
    ));
    Ok(settings)
}

struct ImportJob<'c> {
    context: &'c Context<'c>,
    project: &'c Project,
    settings: &'c ProjectSettings,
    args: &'c Import,
    roots: &'c Roots,
    printer: &'c InstancePrinter<'c>,
    counting: Option<Counting>,
}

impl Job for ImportJob<'_> {
    type Output = Summary;

    fn request(&self) -> Request {
        Request::Import {
            roots: self.roots.as_slice().to_vec(),
        }
    }

    fn run(&mut self, lock: Lock) -> anyhow::Result<Summary> {
        let (context, project, settings) = (self.context, self.project, self.settings);
        let cancel = context.signals.cancel();
        let options = context.open_options(self.args.accept_new_rules, self.args.jobs);
        let open = OpenProject::open(project, settings, options, lock)?;
        let jobs = Arc::new(Jobs::new(project, settings, &open, cancel));
        let holder = outcome::listen(context, project, &jobs);
        let counting = Counting::start(context, project, self.roots);
        let print = |instance| self.printer.print(&instance);
        let mut summary = jobs.import(self.roots, cancel, &print);
        drop(counting);
        outcome::wait_for_others(context, holder);
        outcome::close(open, &mut summary);
        Ok(summary)
    }

    fn before_hand_over(&mut self) {
        self.counting = Counting::start(self.context, self.project, self.roots);
    }

    fn on_response(&mut self, response: Response) {
        if let Response::Instance(instance) = response {
            self.printer.print(&instance);
        }
    }

    fn output(response: Response) -> Option<Summary> {
        match response {
            Response::Summary(summary) => Some(*summary),
            _ => None,
        }
    }
}

/// Counts the files for the progress bar while the import runs, without a list in memory.
#[derive(Debug)]
struct Counting {
    stop: anon_engine::Cancel,
}

impl Counting {
    fn start(context: &Context<'_>, project: &Project, roots: &Roots) -> Option<Self> {
        let progress = context.report.progress()?;
        let mut scan = FileScan::new(roots.absolute())
            .without(project.root())
            .ok()?
            .as_read();
        let stop = anon_engine::Cancel::new();
        let stopped = stop.clone();
        let count = move || {
            let mut files = 0;
            while let Some(_entry) = Iterator::next(&mut scan) {
                files += 1;
                if files % 256 == 0 {
                    progress.counted(files);
                }
                if stopped.is_cancelled() {
                    return;
                }
            }
            progress.all_counted(files);
        };
        // Without a count the bar has no total. The import goes on.
        thread::Builder::new()
            .name("count".into())
            .spawn(count)
            .ok()?;
        Some(Self { stop })
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
