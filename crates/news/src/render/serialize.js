// Copies the tree that is shown, with open shadow trees, into a document without scripts. Runs in a world of its own, so that
// the page cannot change what the functions do.
(async limit => {
    const inert = document.implementation.createHTMLDocument('');
    let left = 300000;
    const copy = (node, depth) => {
        if (left-- <= 0 || depth > 2000) { return null; }
        if (node.nodeType === 3) { return inert.createTextNode(node.data); }
        if (node.nodeType !== 1) { return null; }
        const made = inert.importNode(node, false);
        let children = (node.shadowRoot || node).childNodes;
        if (node.localName === 'slot') {
            const given = node.assignedNodes();
            if (given.length) { children = given; }
        }
        for (const child of children) {
            const inner = copy(child, depth + 1);
            if (inner) { made.appendChild(inner); }
        }
        return made;
    };
    // A page that has just navigated has no element yet.
    while (!document.documentElement && document.readyState === 'loading') {
        await new Promise(done => setTimeout(done, 10));
    }
    const root = document.documentElement && copy(document.documentElement, 0);
    const text = root ? root.outerHTML : '';
    const html = '<!DOCTYPE html>' + text;
    // An element whose text would be longer than a string can be has an empty one.
    if (html.length > limit || (root && !text)) { return null; }
    return { html, url: location.href, title: document.title.slice(0, 1000) };
})
