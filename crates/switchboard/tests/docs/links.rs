//! Links between documents, and pictures.

use super::files::{documents, files, read, root};
use super::text::{anchors, targets};
use quick_xml::Reader;
use quick_xml::events::Event;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Resolves `target` as a browser does on a page of `file`; `None` leaves the repository.
fn resolved(file: &str, target: &str) -> Option<PathBuf> {
    let mut path: Vec<Component<'_>> = Path::new(file).parent()?.components().collect();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => drop(path.pop()?),
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    Some(path.into_iter().collect())
}

/// Returns the links of a document to files of the repository: the path, and the anchor if there is one.
fn local_links(file: &str, text: &str) -> Vec<(PathBuf, Option<String>)> {
    let mut links = Vec::new();
    for target in targets(text).into_iter().filter(|target| !target.contains("://")) {
        let (path, anchor) = target.split_once('#').map_or((&*target, None), |(path, anchor)| (path, Some(anchor)));
        let own = Path::new(file).file_name().expect("a name").to_str().expect("UTF-8");
        let path = if path.is_empty() { own } else { path };
        let path = resolved(file, path).unwrap_or_else(|| panic!("{file}: {target} leads out of the repository"));
        links.push((path, anchor.map(str::to_owned)));
    }
    links
}

#[test]
fn links_and_anchors_resolve() {
    let known: BTreeSet<PathBuf> = files(".").iter().map(PathBuf::from).collect();
    let mut found = 0;
    for (file, text) in documents() {
        for (path, anchor) in local_links(&file, &text) {
            let is_folder = known.iter().any(|known| known.starts_with(&path) && *known != path);
            assert!(known.contains(&path) || is_folder, "{file}: there is no {}", path.display());
            if let Some(anchor) = anchor {
                let anchors = anchors(&read(path.to_str().expect("UTF-8")));
                assert!(anchors.contains(&anchor), "{file}: {} has no #{anchor}: {anchors:?}", path.display());
            }
            found += 1;
        }
    }
    assert!(found > 50, "{found}");
}

#[test]
fn every_document_is_linked() {
    let linked: BTreeSet<PathBuf> =
        documents().iter().flat_map(|(file, text)| local_links(file, text)).map(|(path, _)| path).collect();
    // A folder's README is shown with the folder.
    for (file, _) in documents().iter().filter(|(file, _)| file != "README.md") {
        let folder = Path::new(file).parent().expect("a folder");
        let is_linked = linked.contains(Path::new(file)) || file.ends_with("README.md") && linked.contains(folder);
        assert!(is_linked, "no document links {file}");
    }
}

#[test]
fn pictures_of_the_documents_are_used_and_whole() {
    let used: BTreeSet<PathBuf> =
        documents().iter().flat_map(|(file, text)| local_links(file, text)).map(|(path, _)| path).collect();
    let pictures: Vec<String> = ["docs/*.png", "docs/*.svg"].iter().flat_map(|pattern| files(pattern)).collect();
    for picture in pictures {
        assert!(used.contains(Path::new(&picture)), "no document shows {picture}");
        if picture.ends_with(".png") {
            let bytes = std::fs::read(root().join(&picture)).expect("a file");
            assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xaeB`\x82"), "{picture}");
        }
    }
}

/// Names the elements of an SVG, or what is wrong with it.
fn elements(text: &str) -> Result<Vec<String>, String> {
    let mut reader = Reader::from_str(text);
    let (mut open, mut elements) = (0_usize, Vec::new());
    loop {
        let at = reader.buffer_position();
        match reader.read_event().map_err(|error| format!("{error} at {at}"))? {
            Event::Start(start) => {
                check_attributes(&start)?;
                elements.push(String::from_utf8_lossy(start.name().as_ref()).into_owned());
                open += 1;
            }
            Event::Empty(start) => {
                check_attributes(&start)?;
                elements.push(String::from_utf8_lossy(start.name().as_ref()).into_owned());
            }
            Event::End(_) => open -= 1,
            Event::Eof if open == 0 => return Ok(elements),
            Event::Eof => return Err(format!("{open} elements are not closed")),
            _ => {}
        }
    }
}

fn check_attributes(start: &quick_xml::events::BytesStart<'_>) -> Result<(), String> {
    start.attributes().try_for_each(|attribute| attribute.map(drop).map_err(|error| error.to_string()))
}

#[test]
fn vector_pictures_are_well_formed_and_fit_light_and_dark() {
    for file in files("*.svg") {
        let text = read(&file);
        let elements = elements(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(elements[0], "svg", "{file}");
        assert!(text.contains("viewBox="), "{file}");
        if file.starts_with("docs/") {
            assert!(["title", "desc"].iter().all(|name| elements.iter().any(|found| found == name)), "{file}");
            assert!(text.contains("prefers-color-scheme: dark"), "{file}");
        }
    }
}

#[test]
fn a_broken_picture_is_noticed() {
    assert_eq!(elements("<svg><a b='c'/></svg>").unwrap(), ["svg", "a"]);
    for broken in ["<svg>", "<svg></a></svg>", "<svg a=b/>", "<svg a='1' a='2'/>", "<svg", "<a><b></a></b>"] {
        assert!(elements(broken).is_err(), "{broken}");
    }
}
