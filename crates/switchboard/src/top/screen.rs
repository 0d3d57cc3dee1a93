//! The same on a whole screen, with the last minutes of each.

use super::processes::{Process, Processes, Sort, figure};
use super::{BEAT, Top, ask};
use anyhow::{Context, Result};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Cell, Chart, Dataset, GraphType, Row, Sparkline, Table, TableState};
use ratatui::{DefaultTerminal, Frame};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// Seconds that are kept of each.
const PAST: usize = 300;
/// Rows of the chart of the one that is chosen.
const CHART: u16 = 12;

/// Until `q`, or Ctrl-C.
pub(super) async fn run(args: &Top) -> Result<()> {
    // Before the terminal is taken: who mistyped the address should read the reason.
    let known = ask(args).await?;
    let mut screen = Screen::new(&args.address, known);
    screen.fill(args).await;
    let (tell, mut keys) = mpsc::channel(16);
    // It ends with the process: there is no way to wake it.
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if tell.blocking_send(event).is_err() {
                return;
            }
        }
    });
    let (answer, mut answers) = mpsc::channel(1);
    let asking = tokio::spawn(ask_again(args.clone(), answer));
    let mut terminal = ratatui::try_init().context("cannot take the terminal")?;
    let result = screen.live(&mut terminal, &mut keys, &mut answers).await;
    ratatui::restore();
    asking.abort();
    result
}

/// Beside the drawing, so that no key cuts a question off.
async fn ask_again(args: Top, tell: mpsc::Sender<Result<Processes>>) {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        if tell.send(ask(&args).await).await.is_err() {
            return;
        }
    }
}

#[derive(Default)]
struct Past {
    cpu: VecDeque<f64>,
    mem: VecDeque<f64>,
}

struct Screen {
    address: String,
    known: Processes,
    past: HashMap<u64, Past>,
    sort: Sort,
    table: TableState,
    /// Why the last question failed.
    away: Option<String>,
}

impl Screen {
    fn new(address: &str, known: Processes) -> Screen {
        let table = TableState::default().with_selected(0);
        let mut screen =
            Screen { address: address.into(), known, past: HashMap::new(), sort: Sort::default(), table, away: None };
        screen.known.sort(screen.sort);
        screen
    }

    /// What was before us; without it the lines begin now.
    async fn fill(&mut self, args: &Top) {
        let from = self.known.now - 1000 * PAST as i64;
        let path = format!("/api/history?from={from}&to={}&points={PAST}", self.known.now);
        let Ok(body) = args.get(&path).await else { return };
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
        terminal: &mut DefaultTerminal,
        keys: &mut mpsc::Receiver<Event>,
        answers: &mut mpsc::Receiver<Result<Processes>>,
    ) -> Result<()> {
        loop {
            terminal.draw(|frame| self.draw(frame)).context("cannot draw")?;
            tokio::select! {
                event = keys.recv() => match event {
                    Some(Event::Key(key)) if key.kind == KeyEventKind::Press => {
                        if self.press(key) {
                            return Ok(());
                        }
                    }
                    Some(_) => {}
                    None => return Ok(()),
                },
                answer = answers.recv() => match answer {
                    Some(Ok(known)) => self.take(known),
                    Some(Err(error)) => self.away = Some(format!("{error:#}")),
                    None => return Ok(()),
                },
            }
        }
    }

    fn take(&mut self, mut known: Processes) {
        self.away = None;
        known.sort(self.sort);
        for process in known.processes.iter().filter(|process| !process.is_gone()) {
            let past = self.past.entry(process.id).or_default();
            for (values, value) in [(&mut past.cpu, process.cpu), (&mut past.mem, process.mem)] {
                values.push_back(value.unwrap_or(f64::NAN));
                while values.len() > PAST {
                    values.pop_front();
                }
            }
        }
        // The choice is a process, not a row.
        let chosen = self.chosen().map(|process| process.id);
        self.past.retain(|id, _| known.processes.iter().any(|process| process.id == *id));
        self.known = known;
        let again = self.known.processes.iter().position(|process| Some(process.id) == chosen);
        self.table.select(again.or(Some(0)));
    }

    fn chosen(&self) -> Option<&Process> {
        self.known.processes.get(self.table.selected()?)
    }

    /// Whether that is the end.
    fn press(&mut self, key: KeyEvent) -> bool {
        let last = self.known.processes.len().saturating_sub(1);
        let at = self.table.selected().unwrap_or(0);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return true,
            // The terminal passes it on as a key.
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
            KeyCode::Char('c') => self.sort_by(Sort::Cpu),
            KeyCode::Char('m') => self.sort_by(Sort::Memory),
            KeyCode::Char('n') => self.sort_by(Sort::Name),
            KeyCode::Down | KeyCode::Char('j') => self.table.select(Some((at + 1).min(last))),
            KeyCode::Up | KeyCode::Char('k') => self.table.select(Some(at.saturating_sub(1))),
            KeyCode::Home => self.table.select(Some(0)),
            KeyCode::End => self.table.select(Some(last)),
            _ => {}
        }
        false
    }

    fn sort_by(&mut self, sort: Sort) {
        self.sort = sort;
        self.known.sort(sort);
        self.table.select(Some(0));
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let chart = if frame.area().height > 2 * CHART { CHART } else { 0 };
        let [head, rows, below, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Fill(1),
            Constraint::Length(chart),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let count = self.known.processes.iter().filter(|process| !process.is_gone()).count();
        let title = match &self.away {
            None => Line::from(format!(" Switchboard monitor at {}: {count} processes", self.address)).bold(),
            Some(why) => Line::from(format!(" The monitor is away, asking again: {why}")).red().bold(),
        };
        frame.render_widget(title, head);
        self.draw_rows(frame, rows);
        if chart > 0 {
            self.draw_chart(frame, below);
        }
        frame.render_widget(Line::from(" q quit   c CPU   m memory   n name   Up/Down choose").dim(), foot);
    }

    fn draw_rows(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let now = self.known.now;
        let rows = self.known.processes.iter().map(|process| {
            let row = Row::new([
                Cell::from(process.name()).style(color(process)),
                Cell::from(process.service()),
                Cell::from(Line::from(figure(process.cpu)).right_aligned()),
                Cell::from(Line::from(figure(process.mem)).right_aligned()),
                Cell::from(process.state(now)).style(if process.is_bad() { Color::Red } else { Color::Reset }),
                Cell::from(process.up(now)),
                Cell::default(),
            ]);
            if process.is_gone() { row.dim() } else { row }
        });
        let widths = [
            Constraint::Min(16),
            Constraint::Length(12),
            Constraint::Length(8),
            Constraint::Length(10),
            Constraint::Length(16),
            Constraint::Length(8),
            Constraint::Percentage(25),
        ];
        let right = |text: &'static str| Cell::from(Line::from(text).right_aligned());
        let head = Row::new([
            Cell::from("NAME"),
            "SERVICE".into(),
            right("CPU%"),
            right("MEM MB"),
            "STATE".into(),
            "UP".into(),
            "CPU, LAST MINUTES".into(),
        ]);
        let table = Table::new(rows, widths).header(head.dim()).row_highlight_style(Style::new().reversed());
        frame.render_stateful_widget(table, area, &mut self.table);
        let [.., last] = Layout::horizontal(widths).spacing(1).areas::<7>(area);
        let visible = usize::from(area.height.saturating_sub(1));
        let shown = self.known.processes.iter().skip(self.table.offset()).take(visible);
        for (process, y) in shown.zip(area.y + 1..) {
            let Some(past) = self.past.get(&process.id) else { continue };
            let skipped = past.cpu.len().saturating_sub(usize::from(last.width));
            // A tenth of a percent is the least that shows.
            let values = past.cpu.iter().skip(skipped).map(|value| (value.max(0.0) * 10.0) as u64);
            let line = Sparkline::default().data(values).style(color(process));
            frame.render_widget(line, Rect { y, height: 1, ..last });
        }
    }

    fn draw_chart(&self, frame: &mut Frame<'_>, area: Rect) {
        let Some((process, past)) = self.chosen().and_then(|process| Some((process, self.past.get(&process.id)?)))
        else {
            return;
        };
        let halves: [Rect; 2] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
        for (place, values, what) in [(halves[0], &past.cpu, "CPU %"), (halves[1], &past.mem, "memory MB")] {
            let start = -(values.len() as f64);
            let points: Vec<(f64, f64)> = values
                .iter()
                .zip(1..)
                .map(|(&value, at)| (start + f64::from(at), value))
                .filter(|point| !point.1.is_nan())
                .collect();
            let high = points.iter().map(|point| point.1).fold(1.0, f64::max) * 1.1;
            let line = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).style(color(process));
            let chart = Chart::new(vec![line.data(&points)])
                .block(Block::bordered().title(format!(" {} {what} ", process.name())))
                .x_axis(Axis::default().bounds([-(PAST as f64), 0.0]).labels(["-5 min", "now"]).dim())
                .y_axis(Axis::default().bounds([0.0, high]).labels(["0".to_owned(), format!("{high:.0}")]).dim());
            frame.render_widget(chart, place);
        }
    }
}

/// As sent, where it is written as six digits; a terminal knows no more.
fn color(process: &Process) -> Color {
    let digits = process.color.as_deref().and_then(|text| text.strip_prefix('#')).filter(|digits| digits.len() == 6);
    digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).map_or(Color::Reset, Color::from_u32)
}

#[cfg(test)]
mod tests {
    use super::super::processes::tests::some;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn shown(screen: &mut Screen, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| screen.draw(frame)).expect("drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn what_is_chosen_stays_chosen_when_the_order_changes() {
        let mut screen = Screen::new("nowhere", some());
        assert_eq!(screen.chosen().map(|process| process.id), Some(2));
        screen.press(KeyCode::Down.into());
        assert_eq!(screen.chosen().map(|process| process.id), Some(1));
        let mut changed = some();
        changed.processes[0].cpu = Some(99.0);
        screen.take(changed);
        assert_eq!(screen.chosen().map(|process| process.id), Some(1));
        assert_eq!(screen.table.selected(), Some(0));
    }

    #[test]
    fn it_draws_on_screens_of_any_size_and_says_when_the_monitor_is_away() {
        let mut screen = Screen::new("nowhere", some());
        screen.take(some());
        for (width, height) in [(1, 1), (20, 5), (80, 24), (200, 60)] {
            shown(&mut screen, width, height);
        }
        let text = shown(&mut screen, 120, 40);
        for part in ["3 processes", "leaks 12 MB/h", "b\\u{1b}[2J CPU %", "ended 1m00s"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        screen.away = Some("refused".into());
        assert!(shown(&mut screen, 120, 40).contains("is away, asking again: refused"));
    }

    #[test]
    fn q_and_ctrl_c_end_it_and_c_alone_sorts() {
        let mut screen = Screen::new("nowhere", some());
        assert!(screen.press(KeyCode::Char('q').into()));
        assert!(screen.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
        assert!(!screen.press(KeyCode::Char('m').into()));
        assert_eq!(screen.chosen().map(|process| process.id), Some(1));
        assert!(!screen.press(KeyCode::Char('c').into()));
        assert_eq!(screen.chosen().map(|process| process.id), Some(2));
    }
}
