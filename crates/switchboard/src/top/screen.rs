//! The whole screen: what it knows, and what keys do to it.

use super::processes::{Process, Processes, Sort};
use super::terminal;
use super::{BEAT, Monitor};
use crate::display;
use anyhow::Result;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::widgets::TableState;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use switchboard_driver::start_thread;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// Seconds that are kept of each.
pub(super) const PAST: usize = 300;

/// Until `q`, or Ctrl-C.
pub(super) async fn run(monitor: &Monitor) -> Result<()> {
    // Before the terminal is taken: who mistyped the address should read the reason.
    let known = monitor.processes().await?;
    let mut screen = Screen::new(monitor.shown(), known);
    screen.fill(monitor).await;
    let (answer, mut answers) = mpsc::channel(1);
    let asking = tokio::spawn(ask_again(monitor.clone(), answer));
    let (resume, mut resumed) = mpsc::channel(1);
    let mut terminal = terminal::Screen::take(move || {
        let _ = resume.try_send(());
    })?;
    let (sender, mut keys) = mpsc::channel(16);
    // It ends with the process: there is no way to wake it.
    start_thread("keys", move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    })?;
    let result = screen.live(&mut terminal, &mut keys, &mut answers, &mut resumed).await;
    drop(terminal);
    asking.abort();
    result
}

/// Beside the drawing, so that no key cuts a question off.
async fn ask_again(monitor: Monitor, sender: mpsc::Sender<Result<Processes>>) {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        if sender.send(monitor.processes().await).await.is_err() {
            return;
        }
    }
}

/// The last minutes of a process, one value a second.
#[derive(Default)]
pub(super) struct Past {
    pub(super) cpu: VecDeque<f64>,
    pub(super) mem: VecDeque<f64>,
}

/// The mode of the keyboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Table,
    /// They are the text that is searched for.
    Search,
    /// The list of keys is shown.
    Help,
}

/// A key's request to the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Nothing,
    End,
    Stop,
}

pub(super) struct Screen {
    pub(super) address: String,
    pub(super) known: Processes,
    pub(super) past: HashMap<u64, Past>,
    sort: Sort,
    /// Names or services that are shown; empty for all.
    pub(super) search: String,
    pub(super) mode: Mode,
    pub(super) table: TableState,
    /// Rows of the table that fit.
    pub(super) page: usize,
    /// Why the last question failed.
    pub(super) away: Option<String>,
    pub(super) is_ascii: bool,
}

impl Screen {
    pub(super) fn new(address: &str, known: Processes) -> Screen {
        let table = TableState::default().with_selected(0);
        let mut screen = Screen {
            address: address.into(),
            known,
            past: HashMap::new(),
            sort: Sort::default(),
            search: String::new(),
            mode: Mode::default(),
            table,
            page: 1,
            away: None,
            is_ascii: display::is_ascii(),
        };
        screen.known.sort(screen.sort);
        screen
    }

    /// Takes over the minutes before; without them the lines begin now.
    async fn fill(&mut self, monitor: &Monitor) {
        let from = self.known.now - 1000 * PAST as i64;
        let path = format!("/api/history?from={from}&to={}&points={PAST}", self.known.now);
        let Ok(body) = monitor.0.get(&path).await else { return };
        let Ok(history) = serde_json::from_str::<Value>(&body) else { return };
        let values = |series: &Value, kind: &str| -> VecDeque<f64> {
            series[kind].as_array().into_iter().flatten().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
        };
        for series in history["series"].as_array().into_iter().flatten() {
            if let Some(id) = series["id"].as_u64() {
                self.past.insert(id, Past { cpu: values(series, "cpu"), mem: values(series, "mem") });
            }
        }
    }

    async fn live(
        &mut self,
        terminal: &mut terminal::Screen,
        keys: &mut mpsc::Receiver<Event>,
        answers: &mut mpsc::Receiver<Result<Processes>>,
        resumed: &mut mpsc::Receiver<()>,
    ) -> Result<()> {
        loop {
            terminal.draw(|frame| self.draw(frame))?;
            tokio::select! {
                event = keys.recv() => match event {
                    Some(Event::Key(key)) if key.kind == KeyEventKind::Press => match self.press(key) {
                        Wish::Nothing => {}
                        Wish::End => return Ok(()),
                        Wish::Stop => terminal::Screen::stop(),
                    },
                    Some(_) => {}
                    None => return Ok(()),
                },
                answer = answers.recv() => match answer {
                    Some(Ok(known)) => self.take(known),
                    Some(Err(error)) => self.away = Some(crate::output::reasons(&error)),
                    None => return Ok(()),
                },
                Some(()) = resumed.recv() => terminal.clear()?,
            }
        }
    }

    pub(super) fn take(&mut self, mut known: Processes) {
        self.away = None;
        known.sort(self.sort);
        for process in known.processes.iter().filter(|process| !process.is_gone()) {
            let past = self.past.entry(process.id).or_default();
            for (values, value) in [(&mut past.cpu, process.cpu()), (&mut past.mem, process.mem())] {
                values.push_back(value.unwrap_or(f64::NAN));
                while values.len() > PAST {
                    values.pop_front();
                }
            }
        }
        let chosen = self.chosen().map(|process| process.id);
        self.past.retain(|id, _| known.processes.iter().any(|process| process.id == *id));
        self.known = known;
        self.choose(chosen);
    }

    /// Returns the processes that match the search, in their order.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Process> + Clone {
        let wanted = self.search.to_lowercase();
        self.known.processes.iter().filter(move |process| process.matches(&wanted))
    }

    pub(super) fn chosen(&self) -> Option<&Process> {
        self.rows().nth(self.table.selected()?)
    }

    /// The choice is a process, not a row; the first one where that is not shown.
    fn choose(&mut self, id: Option<u64>) {
        let row = self.rows().position(|process| Some(process.id) == id);
        self.table.select(Some(row.unwrap_or(0)));
    }

    fn press(&mut self, key: KeyEvent) -> Wish {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            // The terminal passes them on as keys.
            return match key.code {
                KeyCode::Char('c') => Wish::End,
                KeyCode::Char('z') => Wish::Stop,
                _ => Wish::Nothing,
            };
        }
        match self.mode {
            Mode::Help if key.code == KeyCode::Char('q') => return Wish::End,
            Mode::Help => self.mode = Mode::Table,
            Mode::Search => self.type_in(key.code),
            Mode::Table => return self.steer(key.code),
        }
        Wish::Nothing
    }

    fn type_in(&mut self, key: KeyCode) {
        let chosen = self.chosen().map(|process| process.id);
        match key {
            KeyCode::Enter => self.mode = Mode::Table,
            KeyCode::Esc => {
                self.search.clear();
                self.mode = Mode::Table;
            }
            KeyCode::Backspace => drop(self.search.pop()),
            KeyCode::Char(c) => self.search.push(c),
            _ => {}
        }
        self.choose(chosen);
    }

    fn steer(&mut self, key: KeyCode) -> Wish {
        let last = self.rows().count().saturating_sub(1);
        let at = self.table.selected().unwrap_or(0);
        let row = match key {
            KeyCode::Char('q') => return Wish::End,
            KeyCode::Esc if self.search.is_empty() => return Wish::End,
            KeyCode::Esc => {
                let chosen = self.chosen().map(|process| process.id);
                self.search.clear();
                self.choose(chosen);
                return Wish::Nothing;
            }
            KeyCode::Char('?' | 'h') => {
                self.mode = Mode::Help;
                return Wish::Nothing;
            }
            KeyCode::Char('/') => {
                self.mode = Mode::Search;
                return Wish::Nothing;
            }
            KeyCode::Char('c') => self.sort_by(Sort::Cpu),
            KeyCode::Char('m') => self.sort_by(Sort::Memory),
            KeyCode::Char('n') => self.sort_by(Sort::Name),
            KeyCode::Down | KeyCode::Char('j') => at + 1,
            KeyCode::Up | KeyCode::Char('k') => at.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => at + self.page,
            KeyCode::PageUp => at.saturating_sub(self.page),
            KeyCode::Home => 0,
            KeyCode::End => last,
            _ => at,
        };
        self.table.select(Some(row.min(last)));
        Wish::Nothing
    }

    /// The first row is looked at then.
    fn sort_by(&mut self, sort: Sort) -> usize {
        self.sort = sort;
        self.known.sort(sort);
        0
    }
}

#[cfg(test)]
mod tests {
    use super::super::processes::tests::some;
    use super::*;

    fn screen() -> Screen {
        Screen::new("nowhere", some())
    }

    fn chosen(screen: &Screen) -> Option<u64> {
        screen.chosen().map(|process| process.id)
    }

    #[test]
    fn what_is_chosen_stays_chosen_when_the_order_changes() {
        let mut screen = screen();
        assert_eq!(chosen(&screen), Some(2));
        screen.press(KeyCode::Down.into());
        assert_eq!(chosen(&screen), Some(1));
        let mut changed = some();
        changed.processes[0].set_cpu(99.0);
        screen.take(changed);
        assert_eq!(chosen(&screen), Some(1));
        assert_eq!(screen.table.selected(), Some(0));
    }

    #[test]
    fn q_and_ctrl_c_end_it_ctrl_z_stops_it_and_c_alone_sorts() {
        let mut screen = screen();
        let control = |c: char| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
        assert_eq!(screen.press(KeyCode::Char('q').into()), Wish::End);
        assert_eq!(screen.press(control('c')), Wish::End);
        assert_eq!(screen.press(control('z')), Wish::Stop);
        assert_eq!(screen.press(KeyCode::Char('m').into()), Wish::Nothing);
        assert_eq!(chosen(&screen), Some(1));
        assert_eq!(screen.press(KeyCode::Char('c').into()), Wish::Nothing);
        assert_eq!(chosen(&screen), Some(2));
    }

    #[test]
    fn pages_go_as_far_as_there_are_rows() {
        let mut screen = screen();
        screen.page = 3;
        let rows = |screen: &mut Screen, key: KeyCode| {
            screen.press(key.into());
            screen.table.selected()
        };
        assert_eq!(rows(&mut screen, KeyCode::PageDown), Some(3));
        assert_eq!(rows(&mut screen, KeyCode::PageDown), Some(3));
        assert_eq!(rows(&mut screen, KeyCode::PageUp), Some(0));
        assert_eq!(rows(&mut screen, KeyCode::PageUp), Some(0));
        assert_eq!(rows(&mut screen, KeyCode::End), Some(3));
        assert_eq!(rows(&mut screen, KeyCode::Home), Some(0));
    }

    #[test]
    fn a_search_shows_what_has_the_text_in_its_name_or_service_and_escape_ends_it() {
        let mut screen = screen();
        for key in "/S".chars() {
            screen.press(KeyCode::Char(key).into());
        }
        assert_eq!(screen.rows().map(|process| process.id).collect::<Vec<_>>(), [2, 4, 3]);
        // While a text is typed, letters are no commands.
        assert_eq!(screen.press(KeyCode::Char('q').into()), Wish::Nothing);
        assert_eq!((screen.rows().count(), chosen(&screen)), (0, None));
        screen.press(KeyCode::Backspace.into());
        screen.press(KeyCode::Enter.into());
        assert_eq!((screen.mode, screen.rows().count()), (Mode::Table, 3));
        assert_eq!(screen.press(KeyCode::Esc.into()), Wish::Nothing);
        assert_eq!(screen.rows().count(), 4);
        assert_eq!(screen.press(KeyCode::Esc.into()), Wish::End);
    }

    #[test]
    fn every_key_but_q_closes_the_help_and_that_quits() {
        for key in [KeyCode::Esc, KeyCode::Enter, KeyCode::Char('?'), KeyCode::Char('m')] {
            let mut screen = screen();
            screen.press(KeyCode::Char('?').into());
            assert_eq!(screen.mode, Mode::Help);
            assert_eq!(screen.press(key.into()), Wish::Nothing);
            assert_eq!(screen.mode, Mode::Table);
        }
        let mut screen = screen();
        screen.press(KeyCode::Char('?').into());
        assert_eq!(screen.press(KeyCode::Char('q').into()), Wish::End);
    }
}
