// Measures the page of an audit. `.ci/audit-page` appends this script to a copy, and compares its findings.
const lines = [];
const say = line => lines.push(line);
const all = (selector, below = document) => [...below.querySelectorAll(selector)];
const box = element => element.getBoundingClientRect();
const near = (one, other) => Math.abs(one - other) < 1.5;
const row = name => all(".waterfall tbody tr").find(row => label(row) === name);
const label = row => [...row.querySelector("th").childNodes].filter(node => node.nodeType === Node.TEXT_NODE).map(node => node.data.trim()).join("");
const above = row => label(row.previousElementSibling);
const marked = kind => all(`.waterfall tr[data-breaks~="${kind}"]`);
const bar = row => box(row.querySelector("rect"));
const lane = row => box(row.querySelector("svg.bar"));
const percent = (at, row) => Math.round((at - lane(row).left) / lane(row).width * 100);

// The tab order is that of the document: no element may have an order of its own. The stops go down the page, and each
// shows that it has the focus.
function keys() {
    const reachable = all("summary, a").every(element => element.tabIndex === 0 && element.matches("a[href], details > summary:first-child"));
    say(`keys: every summary and link can be reached: ${reachable}`);
    const stops = all("*").filter(element => element.tabIndex >= 0);
    say(`keys: stops with an order of their own: ${stops.filter(element => element.tabIndex > 0).length}`);
    const tops = stops.slice(1).map(element => box(element).top + scrollY);
    say(`keys: stops go down the page: ${tops.every((top, at) => at === 0 || top > tops[at - 1] - 2)}`);
    const unseen = stops.filter(element => {
        element.focus();
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        const { left, right, top, bottom } = box(element);
        const isInside = right > 0 && bottom > 0 && left < innerWidth && top < innerHeight;
        return document.activeElement !== element || outlineStyle === "none" || parseFloat(outlineWidth) < 1 || !isInside;
    });
    say(`keys: stops whose focus cannot be seen: ${unseen.map(element => element.outerHTML.slice(0, 60)).join(", ") || "none"}`);
    say(`keys: the first one leads to the ${document.querySelector(stops[0].hash).localName} element`);
}

function structure() {
    const landmarks = all("body > header, body > nav[aria-label], body > main").map(element => element.localName);
    say(`landmarks: ${landmarks.join(", ")}`);
    const levels = all("h1, h2, h3, h4, h5, h6").map(heading => Number(heading.localName[1]));
    say(`headings: one of the first level, and none is skipped: ${levels.filter(level => level === 1).length === 1 && levels.every((level, at) => level <= (levels[at - 1] ?? 0) + 1)}`);
    const isNamed = element => element.ariaLabel || document.getElementById(element.getAttribute("aria-labelledby"))?.textContent;
    say(`regions without a name: ${all("section, [role=region], nav, svg[role=img]").filter(element => !isNamed(element)).length}`);
    say(`tables without a caption: ${all("table").filter(table => !table.caption?.textContent).length}`);
}

// Text needs a contrast of 4.5 : 1 (WCAG 2.2, 1.4.3), and graphics 3 : 1 (1.4.11).
function contrast() {
    const texts = all("body *").filter(element => element.localName !== "script" && [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim()));
    low("texts", texts.map(element => [element, getComputedStyle(element).color]), 4.5);
    const shapes = all(".lane svg > *").map(shape => {
        const { fill, stroke } = getComputedStyle(shape);
        return [shape, fill === "none" || shape.localName === "line" ? stroke : fill];
    });
    low("shapes", shapes, 3);
}

function low(what, colours, least) {
    const found = colours.map(([element, ink]) => [element, ratio(colour(ink), behind(element))]).filter(([, ratio]) => ratio < least);
    say(`contrast: ${what} below ${least}: ${found.map(([element, ratio]) => `${ratio.toFixed(2)} ${element.outerHTML.slice(0, 60)}`).join(", ") || `none of ${colours.length > 10 ? "more than 10" : colours.length}`}`);
}

// Red, green, blue and opacity.
const colour = text => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
const behind = element => {
    for (let at = element; at; at = at.parentElement) {
        const paper = colour(getComputedStyle(at).backgroundColor);
        if (paper[3] > 0) return paper;
    }
    return [255, 255, 255, 1];
};
const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(part => part / 255).map(part => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
    return .2126 * x + .7152 * y + .0722 * z;
};
const ratio = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + .05) / (dark + .05);
};

try {
    // Without the focus, nothing in the page matches `:focus`. The window gets it shortly before or after the page is
    // loaded.
    if (!document.hasFocus()) say("not yet");
    const loaded = performance.getEntriesByType("resource").map(entry => entry.name);
    say(`loaded: ${loaded.join(" ") || "nothing"}`);

    // Like a reader: from the kind to its example, and to the waterfall.
    const [ghost] = marked("missing-parent");
    const link = document.querySelector("#missing-parent a[href^='#trace-']");
    ghost.closest("details").open = false;
    link.click();
    location.hash = link.hash;
    const trace = document.querySelector(link.hash);
    trace.open = true;
    say(`missing-parent: link leads to an open waterfall: ${trace === ghost.closest("details") && lane(ghost).height > 0}`);

    const child = ghost.nextElementSibling;
    const dashed = ghost.querySelector("rect");
    const inside = bar(ghost).top >= box(ghost).top && bar(ghost).bottom <= box(ghost).bottom && bar(ghost).width > 0;
    say(`missing-parent: dashed bar in its row: ${inside && getComputedStyle(dashed).strokeDasharray !== "none" && getComputedStyle(dashed).fill === "none"}`);
    say(`missing-parent: "${above(child)}" stands above "${label(child)}"`);
    say(`missing-parent: bar from that of "${label(child)}" to its end: ${near(bar(ghost).left, bar(child).left) && near(bar(ghost).right, bar(child).right)}`);
    say(`missing-parent: bar at ${percent(bar(ghost).left, ghost)} % to ${percent(bar(ghost).right, ghost)} % of the lane`);

    const [open] = marked("never-ended");
    const end = box(open.querySelector("line.never"));
    say(`never-ended: marked in the row of "${label(open)}" at ${percent((end.left + end.right) / 2, open)} % of the lane`);
    const [caller] = marked("unparented-entry");
    say(`unparented-entry: "${label(caller)}" stands above "${label(caller.nextElementSibling)}"`);
    for (const kind of ["ended-before-child", "conflicting-tag"]) {
        const [found] = marked(kind);
        const outline = box(found.querySelector("rect.outline"));
        const around = outline.top < bar(found).top && outline.bottom > bar(found).bottom;
        say(`${kind}: ${around ? "marked" : "not marked"} in the row of "${label(found)}"`);
    }
    say(`a child is right of its parent's start: ${bar(row("charge")).left > bar(row("create_order")).left}`);
    say(`rows that are marked: ${all("tr.broken").length} of ${all(".waterfall tbody tr").length}`);

    // From here on, everything is open, as if opened by a reader.
    all("details").forEach(details => details.open = true);
    keys();
    structure();
    contrast();
    const paper = colour(getComputedStyle(document.body).backgroundColor);
    say(`colours: ${paper[3] === 0 ? "none" : paper[0] > 128 ? "light" : "dark"}`);
} catch (error) {
    say(`failed: ${error.stack}`);
}

const found = document.createElement("pre");
found.id = "found";
found.textContent = lines.join("\n");
document.body.append(found);
