// Names of channels: any bytes. Those that are no text come as hex; what cannot be seen is shown by its number.

/// Controls, marks that turn the direction of writing, and others without a glyph; and the sign that begins an escape.
const HIDDEN = /[\\\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;

const escaped = (sign) => (sign === "\\" ? "\\\\" : `\\u{${sign.codePointAt(0).toString(16)}}`);

/// A name as it is shown, and typed to confirm what cannot be taken back. Two names are never shown alike by their bytes.
export function shown({ name, name_hex: hex }) {
    if (hex === undefined) {
        return name.replace(HIDDEN, escaped);
    }
    const byte = (pair) => {
        const code = parseInt(pair, 16);
        const isPlain = code >= 0x20 && code < 0x7f;
        return !isPlain ? `\\x${pair}` : code === 0x5c ? "\\\\" : String.fromCharCode(code);
    };
    return hex.match(/../g).map(byte).join("");
}

/// The bytes of a name in an address.
export const encoded = ({ name, name_hex: hex }) => (hex === undefined ? encodeURIComponent(name) : hex.replace(/../g, "%$&"));

export const isQueue = (channel) => channel.name.startsWith("/queue");
