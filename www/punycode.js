// Stands in for the module that markdown-it takes from Node: browsers encode host names themselves, and a name that is
// shown in its ASCII form cannot pretend to be another.
export const toASCII = (name) => name;
export const toUnicode = (name) => name;
export default { toASCII, toUnicode };
