// Questions to the collector. All of them are about this server, and none of them changes anything.

/// Milliseconds after which an answer is not waited for any more: a long range takes its time.
const PATIENCE = 30_000;

export async function ask(path, signal, patience = PATIENCE) {
    const signals = [AbortSignal.timeout(patience), signal].filter(Boolean);
    const answer = await fetch(path, { signal: AbortSignal.any(signals), headers: { accept: "application/json" } });
    if (!answer.ok) {
        throw new Error(`${path}: ${answer.status}`);
    }
    return answer.json();
}

const range = ({ from, to }) => `from=${Math.floor(from)}&to=${Math.ceil(to)}`;

export const history = (window, points, ids, signal) =>
    ask(`/api/history?${range(window)}&points=${points}${ids.map((id) => `&id=${id}`).join("")}`, signal);

export const annotations = async (window, signal) => (await ask(`/api/annotations?${range(window)}`, signal)).annotations;

export const csv = (window) => `/api/history.csv?${range(window)}`;
