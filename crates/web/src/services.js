// Links to the pages of the other services of this program, in the header of each page. Nothing where a service runs alone.

async function show() {
    const place = document.getElementById("services");
    try {
        const answer = await fetch("/services.json", { headers: { accept: "application/json" }, signal: AbortSignal.timeout(10_000) });
        const { services } = await answer.json();
        place.replaceChildren(...services.map(({ name, href, here }) => {
            const link = document.createElement("a");
            link.href = href;
            link.textContent = name[0].toUpperCase() + name.slice(1);
            if (here) {
                link.setAttribute("aria-current", "page");
            }
            return link;
        }));
        place.hidden = services.length === 0;
    } catch {
        // The page itself says that its server is away; the links stay as they were.
    }
}

show();
// A service that could not start at first may run now.
document.addEventListener("visibilitychange", () => document.hidden || show());
