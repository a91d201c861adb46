// Shows a key with every request, because the conformance suite has no option for headers:
// `node --import ./bearer.mjs SUITE server …` with BEARER_TOKEN in the environment.
import http from 'node:http';
import { createRequire, syncBuiltinESMExports } from 'node:module';

const authorization = `Bearer ${process.env.BEARER_TOKEN}`;
const { Agent, setGlobalDispatcher } = createRequire(process.argv[1])('undici');

const shown = dispatch => (options, handler) => {
    const given = options.headers ?? {};
    const headers = Array.isArray(given) ? [...given, 'authorization', authorization] : { ...given, authorization };
    return dispatch({ ...options, headers }, handler);
};

// `fetch` and the suite's own client share it.
setGlobalDispatcher(new Agent().compose(shown));

const { request } = http;
http.request = (...args) => {
    const begun = request(...args);
    begun.setHeader('authorization', authorization);
    return begun;
};
syncBuiltinESMExports();
