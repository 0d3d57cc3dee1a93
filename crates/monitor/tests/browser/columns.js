// Run inside the page: returns what is not as it should be.
return import("/columns.js").then(({ Columns }) => {
    const wrong = [];
    const same = (what, is, wanted) => {
        if (JSON.stringify(is) !== JSON.stringify(wanted)) {
            wrong.push(`${what}: ${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`);
        }
    };
    const narrow = new Columns(0, 1000, 10);
    for (let second = 0; second < 500; second++) {
        narrow.moveTo(second * 1000);
        narrow.put(2, second * 1000, second, second);
    }
    same("a window that moves keeps the last", narrow.values("cpu", [2], 1).mean, [490, 491, 492, 493, 494, 495, 496, 497, 498, 499]);
    same("its first second", narrow.times(1)[0], 490);
    same("points begin at multiples", narrow.times(4), [488, 492, 496]);
    const points = narrow.values("cpu", [2], 4);
    same("points are means", points.mean, [490.5, 493.5, 497.5]);
    same("in a band", [points.low, points.high], [[490, 492, 496], [491, 495, 499]]);
    narrow.put(3, narrow.to - 1000, 100, 1);
    same("one that is late counts in a sum", narrow.values("cpu", [2, 3], 1).mean.slice(-3), [497, 598, 599]);
    narrow.put(2, narrow.from - 1, 7, 7);
    narrow.put(2, narrow.to + 1000, 7, 7);
    same("outside of the window is nothing", narrow.values("cpu", [2], 1).mean.includes(7), false);

    const series = { id: 1, cpu: [1, null, 10], cpu_min: [0, null, 9], cpu_max: [2, null, 11], mem: [1, 2, 3], mem_min: [1, 2, 3], mem_max: [1, 2, 3] };
    const wide = Columns.of({ from: 0, to: 20000, step: 10000, series: [series] }, 25000);
    const cpu = () => wide.values("cpu", [1], 1);
    wide.put(1, 25000, 16, 3);
    same("the last column goes on", [cpu().mean, cpu().low, cpu().high], [[1, null, 11], [0, null, 9], [2, null, 16]]);
    wide.put(1, 12000, 7, 7);
    same("a hole is filled", cpu().mean, [1, 7, 11]);
    wide.put(1, 3000, 7, 7);
    same("a late one widens the band", [cpu().mean[0], cpu().low[0], cpu().high[0]], [1, 0, 7]);
    wide.moveTo(39000);
    wide.put(1, 31000, 5, 5);
    wide.put(1, 32000, 7, 5);
    same("a new column begins anew", cpu().mean, [7, 11, 6]);
    return wrong;
});
