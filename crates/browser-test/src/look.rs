use std::net::SocketAddr;

/// The window that a page is shown in, and the user's color scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub(crate) scheme: Scheme,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) phone: bool,
}

/// A script that gives the top of a page's links to the other services, shown or not. It is the same on every page, so that they
/// stay where they are when one is followed: [`Look::links_top`].
pub const TOP_OF_LINKS: &str =
    "const links = document.querySelector('#services'), isHidden = links.hidden; links.hidden = false;
    const top = Math.round(links.getBoundingClientRect().top + scrollY); links.hidden = isHidden; return top";

/// The color scheme that the page is asked for: `prefers-color-scheme`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark text on a light ground.
    Light,
    /// Light text on a dark ground.
    Dark,
}

impl Look {
    /// A desktop's window of 1280 x 1100 pixels.
    pub const LIGHT: Look = Look { scheme: Scheme::Light, width: 1280, height: 1100, phone: false };
    /// The same, dark.
    pub const DARK: Look = Look { scheme: Scheme::Dark, ..Look::LIGHT };
    /// A phone of 360 x 1280 pixels, with a touch screen.
    pub const PHONE: Look = Look { width: 360, height: 1280, phone: true, ..Look::LIGHT };

    /// The looks of the documentation's pictures, with their names: `scripts/screenshots` takes each page in all of them.
    pub const PICTURES: [(&str, Look); 6] = [
        ("light", Look::LIGHT.width(1400)),
        ("dark", Look::DARK.width(1400)),
        ("tablet", Look::LIGHT.width(900)),
        ("tablet-dark", Look::DARK.width(900)),
        ("phone", Look::PHONE.width(390)),
        ("phone-dark", Look::PHONE.width(390).dark()),
    ];

    /// The services of `switchboard up` that have a page, and their ports: a page that knows them has the links that users see.
    pub const PAGES: [(&str, u16); 4] = [("broker", 25080), ("monitor", 8088), ("news", 8080), ("rows", 8000)];

    /// Addresses of the pages of [`Look::PAGES`], of which the one of this name listens elsewhere.
    pub fn pages(name: &str, address: SocketAddr) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let at = move |(page, port): (&'static str, u16)| (page, SocketAddr::from(([127, 0, 0, 1], port)));
        let name = name.to_owned();
        Look::PAGES.into_iter().map(at).map(move |(page, usual)| (page, if page == name { address } else { usual }))
    }

    /// The top of the links in this look, in CSS pixels: on a phone they are the second row of the header.
    #[must_use]
    pub const fn links_top(self) -> u32 {
        if self.phone { 56 } else { 14 }
    }

    /// The same in another width, in CSS pixels. A desktop's window has at least 500.
    #[must_use]
    pub const fn width(self, width: u32) -> Look {
        Look { width, ..self }
    }

    /// The same, dark.
    #[must_use]
    pub const fn dark(self) -> Look {
        Look { scheme: Scheme::Dark, ..self }
    }

    /// The same in another height, in CSS pixels.
    #[must_use]
    pub const fn height(self, height: u32) -> Look {
        Look { height, ..self }
    }
}
