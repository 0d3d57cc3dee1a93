//! The screen, on a terminal of any size.

use super::ascii;
use super::processes::{Process, figure, totals};
use super::screen::{Mode, PAST, Screen};
use crate::table::fit;
use ratatui::Frame;
use ratatui::layout::{Constraint, Flex, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Cell, Chart, Clear, Dataset, GraphType, Paragraph, Row, Sparkline, Table};

/// Rows of the charts of the process that is chosen, where there is room, and the least that they are.
const CHART: u16 = 12;
const LOWEST: u16 = 6;
/// Rows that the table keeps beside charts.
const TABLE: u16 = 6;

const HELP: [(&str, &str); 9] = [
    ("c m n", "sort by CPU, memory, name"),
    ("Up Down j k", "choose a process"),
    ("PgUp PgDn", "a page back, a page on"),
    ("Home End", "the first, the last"),
    ("/", "search by name or service; Enter keeps it"),
    ("Esc", "end the search, or quit"),
    ("Ctrl-Z", "stop; `fg` returns"),
    ("? h", "this list"),
    ("q Ctrl-C", "quit"),
];

/// A column of the table: its title, its width, and from which width of the screen on it is shown.
struct Column {
    title: &'static str,
    width: u16,
    from: u16,
    value: fn(&Process, i64) -> String,
}

const CPU: usize = 1;
const MEM: usize = 2;
const STATE: usize = 3;
/// Behind the name, which takes the rest.
const COLUMNS: [Column; 5] = [
    Column { title: "SERVICE", width: 12, from: 72, value: |process, _| process.service() },
    Column { title: "CPU%", width: 7, from: 0, value: |process, _| figure(process.cpu()) },
    Column { title: "MEM MB", width: 9, from: 0, value: |process, _| figure(process.mem()) },
    Column { title: "STATE", width: 14, from: 46, value: Process::state },
    Column { title: "UP", width: 6, from: 56, value: Process::up },
];
/// From this width on each row has a sparkline, which takes this part of it.
const SPARKLINE_FROM: u16 = 100;
const SPARKLINE: u16 = 4;

impl Screen {
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let room = area.height.saturating_sub(TABLE + 2);
        let chart = if room < LOWEST { 0 } else { (area.height / 2).clamp(LOWEST, CHART).min(room) };
        let [head, rows, below, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Fill(1),
            Constraint::Length(chart),
            Constraint::Length(1),
        ])
        .areas(area);
        let width = usize::from(area.width);
        let title = match &self.away {
            None => Line::from(fit(&format!(" {}  {}", totals(self.rows()), self.address), width)).bold(),
            Some(why) => Line::from(fit(&format!(" The monitor is away, asking again: {why}"), width)).red().bold(),
        };
        frame.render_widget(title, head);
        self.draw_rows(frame, rows);
        if chart > 0 {
            self.draw_charts(frame, below);
        }
        let keys = match self.mode {
            Mode::Search => format!(" search: {}\u{2588}", self.search),
            _ if !self.search.is_empty() => format!(" only \"{}\"   Esc all   ? help   q quit", self.search),
            _ => " ? help   q quit   c CPU   m memory   n name   / search".to_owned(),
        };
        frame.render_widget(Line::from(fit(&keys, width)).dim(), foot);
        if self.mode == Mode::Help {
            draw_help(frame);
        }
        if self.is_ascii {
            ascii::reduce(frame.buffer_mut());
        }
    }

    fn draw_rows(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let columns: Vec<usize> = (0..COLUMNS.len()).filter(|&at| COLUMNS[at].from <= area.width).collect();
        let sparkline = if area.width < SPARKLINE_FROM { 0 } else { area.width / SPARKLINE };
        let taken: u16 = columns.iter().map(|&at| COLUMNS[at].width + 1).sum::<u16>()
            + if sparkline > 0 { sparkline + 1 } else { 0 };
        let name = area.width.saturating_sub(taken);
        let mut widths = vec![Constraint::Length(name)];
        widths.extend(columns.iter().map(|&at| Constraint::Length(COLUMNS[at].width)));
        widths.extend((sparkline > 0).then_some(Constraint::Length(sparkline)));
        let now = self.known.now;
        let cell = |at: usize, text: String| {
            let text = fit(&text, usize::from(COLUMNS[at].width));
            Cell::from(if matches!(at, CPU | MEM) { Line::from(text).right_aligned() } else { Line::from(text) })
        };
        let rows = self.rows().map(|process| {
            let mut cells = vec![Cell::from(fit(&process.name(), name.into())).style(color(process))];
            cells.extend(columns.iter().map(|&at| {
                let cell = cell(at, (COLUMNS[at].value)(process, now));
                if at == STATE && process.is_bad() { cell.style(Color::Red) } else { cell }
            }));
            let row = Row::new(cells);
            if process.is_gone() { row.dim() } else { row }
        });
        let visible = usize::from(area.height.saturating_sub(1));
        // One scale for all: a row says how much, not only how it changes.
        let high = self.rows().filter_map(|process| self.past.get(&process.id));
        let high = high.flat_map(|past| &past.cpu).copied().fold(1.0, f64::max);
        let mut heads = vec![Cell::from(fit("NAME", name.into()))];
        heads.extend(columns.iter().map(|&at| cell(at, COLUMNS[at].title.to_owned())));
        heads.extend(
            (sparkline > 0).then(|| Cell::from(fit(&format!("CPU, 0 TO {high:.0} %, LAST MINUTES"), sparkline.into()))),
        );
        let table = Table::new(rows.collect::<Vec<_>>(), widths)
            .header(Row::new(heads).dim())
            .row_highlight_style(Style::new().reversed());
        self.page = visible.max(1);
        frame.render_stateful_widget(table, area, &mut self.table);
        if sparkline == 0 {
            return;
        }
        let x = area.right() - sparkline;
        let shown = self.rows().skip(self.table.offset()).take(visible);
        for (process, y) in shown.zip(area.y + 1..) {
            let Some(past) = self.past.get(&process.id) else { continue };
            let skipped = past.cpu.len().saturating_sub(usize::from(sparkline));
            // In tenths of a percent.
            let tenths = |value: f64| (value.max(0.0) * 10.0) as u64;
            let values = past.cpu.iter().skip(skipped).map(|&value| tenths(value));
            let line = Sparkline::default().data(values).max(tenths(high)).style(color(process));
            frame.render_widget(line, Rect { x, y, width: sparkline, height: 1 });
        }
    }

    fn draw_charts(&self, frame: &mut Frame<'_>, area: Rect) {
        let Some((process, past)) = self.chosen().and_then(|process| Some((process, self.past.get(&process.id)?)))
        else {
            return;
        };
        let halves: [Rect; 2] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
        for (half, values, what) in [(halves[0], &past.cpu, "CPU %"), (halves[1], &past.mem, "memory MB")] {
            let start = -(values.len() as f64);
            let points: Vec<(f64, f64)> = values
                .iter()
                .zip(1..)
                .map(|(&value, at)| (start + f64::from(at), value))
                .filter(|point| !point.1.is_nan())
                .collect();
            let high = points.iter().map(|point| point.1).fold(1.0, f64::max) * 1.1;
            let line = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).style(color(process));
            let name = fit(&process.name(), usize::from(half.width).saturating_sub(what.len() + 5));
            let chart = Chart::new(vec![line.data(&points)])
                .block(Block::bordered().title(format!(" {name} {what} ")))
                .x_axis(Axis::default().bounds([-(PAST as f64), 0.0]).labels(["-5 min", "now"]).dim())
                .y_axis(Axis::default().bounds([0.0, high]).labels(["0".to_owned(), format!("{high:.0}")]).dim());
            frame.render_widget(chart, half);
        }
    }
}

fn draw_help(frame: &mut Frame<'_>) {
    let lines: Vec<Line<'_>> = HELP.iter().map(|(keys, what)| Line::from(format!(" {keys:12} {what} "))).collect();
    let width = lines.iter().map(Line::width).max().unwrap_or(0) + 2;
    let [area] = Layout::horizontal([Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX))])
        .flex(Flex::Center)
        .areas(frame.area());
    let [area] = Layout::vertical([Constraint::Length(HELP.len() as u16 + 2)]).flex(Flex::Center).areas(area);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" Keys ")), area);
}

/// As sent, where it is written as six digits; a terminal knows no more.
fn color(process: &Process) -> Color {
    let digits = process.color.as_deref().and_then(|text| text.strip_prefix('#')).filter(|digits| digits.len() == 6);
    digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).map_or(Color::Reset, Color::from_u32)
}

#[cfg(test)]
mod tests {
    use super::super::processes::tests::{named, some};
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn shown(screen: &mut Screen, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| screen.draw(frame)).expect("drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn it_draws_on_screens_of_any_size_and_says_when_the_monitor_is_away() {
        let mut screen = Screen::new("nowhere", some());
        screen.take(some());
        for (width, height) in [(1, 1), (20, 5), (24, 14), (80, 24), (200, 60), (300, 2)] {
            shown(&mut screen, width, height);
            screen.mode = Mode::Help;
            shown(&mut screen, width, height);
            screen.mode = Mode::Table;
        }
        let text = shown(&mut screen, 120, 40);
        for part in ["3 processes, 1 ended, 51.0 % CPU, 50.0 MB", "leaks 12 MB/h", "b\\u{1b}[2J CPU %", "ended 1m00s"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        screen.away = Some("refused".into());
        assert!(shown(&mut screen, 120, 40).contains("is away, asking again: refused"));
    }

    #[test]
    fn numbers_and_states_are_whole_on_narrow_screens_and_names_end_with_an_ellipsis() {
        let long = named("a-name-that-is-longer-than-the-screen-is-wide-by-far", 1234.5, 10_234.5);
        for width in [24, 40, 46, 56, 60, 72, 80, 100, 120] {
            let mut screen = Screen::new("nowhere", long.clone());
            let text = shown(&mut screen, width, 10);
            assert!(text.contains("1234.5") && text.contains("10234.5"), "{width}:\n{text}");
            assert!(width > 100 || text.contains('\u{2026}'), "{width}:\n{text}");
            assert!(width < 46 || text.contains("live"), "{width}:\n{text}");
        }
        let mut screen = Screen::new("nowhere", some());
        assert!(shown(&mut screen, 60, 20).contains("ended 1m00s"));
    }

    #[test]
    fn charts_are_there_from_fourteen_rows_on() {
        let mut screen = Screen::new("nowhere", some());
        screen.take(some());
        for (height, there) in [(13, false), (14, true), (16, true), (24, true)] {
            assert_eq!(shown(&mut screen, 80, height).contains("memory MB"), there, "{height}");
        }
    }

    #[test]
    fn sparklines_have_one_scale() {
        let mut known = named("idle", 0.1, 1.0);
        known.processes.extend(named("busy", 100.0, 1.0).processes.into_iter().map(|mut process| {
            process.id = 2;
            process
        }));
        let mut screen = Screen::new("nowhere", known.clone());
        screen.take(known);
        let text = shown(&mut screen, 120, 10);
        let row = |name: &str| text.lines().find(|line| line.contains(name)).expect("a row").to_owned();
        assert!(
            row("busy").contains('\u{2588}') && !row("idle").contains(['\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}']),
            "{text}"
        );
        assert!(text.contains("CPU, 0 TO 100 %"), "{text}");
    }

    #[test]
    fn without_utf_8_everything_is_drawn_in_ascii() {
        for mode in [Mode::Table, Mode::Help, Mode::Search] {
            let mut screen = Screen::new("nowhere", some());
            screen.is_ascii = true;
            screen.mode = mode;
            screen.take(some());
            let text = shown(&mut screen, 120, 40);
            assert!(text.is_ascii() && text.contains("---") && text.contains('*'), "{text}");
        }
        let mut screen = Screen::new("nowhere", some());
        screen.take(some());
        assert!(!shown(&mut screen, 120, 40).is_ascii());
    }

    #[test]
    fn the_help_names_every_key() {
        let mut screen = Screen::new("nowhere", some());
        screen.mode = Mode::Help;
        let text = shown(&mut screen, 80, 24);
        for part in ["PgUp", "search by name", "Ctrl-Z", "sort by CPU"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
