// Run inside the page: returns what is not as it should be.
return import("/processes.js").then(({ Processes }) => {
    const wrong = [];
    const same = (what, is, wanted) => {
        if (JSON.stringify(is) !== JSON.stringify(wanted)) {
            wrong.push(`${what}: ${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`);
        }
    };
    const now = Date.now();
    const answer = (now, last, cpu) => ({ now, silent_after: 10_000, processes: [{ id: 1, last, cpu, mem: cpu, state: "live" }] });
    // An answer at `now`, a sample of `streamed` with 90, then the answer at `later`.
    const figures = (streamed, later, last) => {
        const processes = new Processes();
        processes.load(answer(now, now - 1000, 10));
        processes.take({ id: 1, cpu: 90, mem: 90 }, streamed);
        processes.load(answer(later, last, 20));
        const loaded = processes.byId.get(1).cpu;
        processes.take({ id: 1, cpu: 30, mem: 30 }, last + 500);
        return [loaded, processes.byId.get(1).cpu];
    };
    same("a stream that is faster than an answer", figures(now + 2000, now + 1000, now), [90, 90]);
    same("as far ahead as a clock may be", figures(now + 4900, now, now - 1000), [90, 90]);
    same("further ahead", figures(now + 5500, now, now - 1000), [20, 30]);
    same("a clock that was set back", figures(now, now - 3_600_000, now - 3_601_000), [20, 30]);
    const set = new Processes();
    set.load(answer(now, now + 3_600_000, 10));
    set.take({ id: 1, cpu: 30, mem: 30 }, now);
    same("a sample after a clock was set back", set.byId.get(1).cpu, 30);
    return wrong;
});
