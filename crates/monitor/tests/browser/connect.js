// Run inside the page: returns what is not as it should be.
return import("/connect.js").then(({ connect, nearest }) => {
    const wrong = [];
    const text = (value) => JSON.stringify(value, (_, each) => (each === undefined ? "joined" : each));
    const same = (what, is, wanted) => {
        if (text(is) !== text(wanted)) {
            wrong.push(`${what}: ${text(is)}, not ${text(wanted)}`);
        }
    };
    const _ = null;
    const j = undefined;
    same("neighbors", connect([1, 2, _], 1000, 3000), { joined: [1, 2, _], lone: [] });
    same("at the limit a hole is crossed", connect([1, _, _, 4], 1000, 3000), { joined: [1, j, j, 4], lone: [] });
    same("beyond it two points are alone", connect([1, _, _, _, 5], 1000, 3000), { joined: [1, _, _, _, 5], lone: [0, 4] });
    same("below it", connect([1, _, 3], 1000, 3000), { joined: [1, j, 3], lone: [] });
    same("one point", connect([_, 2, _], 1000, 3000), { joined: [_, 2, _], lone: [1] });
    same("no point", connect([_, _], 1000, 3000), { joined: [_, _], lone: [] });
    same("nothing", connect([], 1000, 3000), { joined: [], lone: [] });
    same("neighbors belong together however wide a step is", connect([1, 2, _, 4], 60000, 10000), { joined: [1, 2, _, 4], lone: [3] });
    same("a point between two lines", connect([1, 2, _, _, _, _, 7, _, _, _, _, 8, 9], 1000, 3000).lone, [6]);
    same("the cursor finds a near point", [0, 1, 2, 3].map((at) => nearest([1, j, j, 4], at, 1000, 3000)), [0, 0, 3, 3]);
    same("and none far away", nearest([1, _, _, _, _, _], 5, 1000, 3000), 5);
    return wrong;
});
