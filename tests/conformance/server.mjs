// An MCP server with what the official conformance suite calls, over streamable HTTP and without
// dependencies: `node server.mjs ERA PORT`, with ERA `modern` (2026-07-28) or `old` (2025-11-25).
// It speaks one era alone, so that a gateway in front of it has to translate for the other.
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

const [era, port] = [process.argv[2], Number(process.argv[3] ?? 0)];
const modern = era === 'modern';
const MODERN = '2026-07-28';
const OLD = '2025-11-25';
const META = 'io.modelcontextprotocol/';
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const SILENCE = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=';

class RpcError extends Error {
    constructor(code, message, data, status = 200) {
        super(message);
        Object.assign(this, { code, data, status });
    }
}

const sleep = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
const text = value => ({ content: [{ type: 'text', text: value }] });
const resource = (uri, mimeType, value) => ({ type: 'resource', resource: { uri, mimeType, text: value } });
const user = content => ({ role: 'user', content });
const form = (message, properties, required = Object.keys(properties)) => ({
    method: 'elicitation/create',
    params: { mode: 'form', message, requestedSchema: { type: 'object', properties, required } },
});
const sampling = (prompt, maxTokens = 100) => ({
    method: 'sampling/createMessage',
    params: { messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens },
});
const roots = { method: 'roots/list', params: {} };
const string = { type: 'string' };

// State that clients hand back is signed: whoever changes it is refused.
const secret = randomBytes(32);
const signature = body => createHmac('sha256', secret).update(body).digest('base64url');
const sealed = value => {
    const body = Buffer.from(JSON.stringify(value)).toString('base64url');
    return `${body}.${signature(body)}`;
};
const opened = state => {
    const [body, sign] = String(state).split('.');
    if (!body || sign !== signature(body)) throw new RpcError(-32602, 'Invalid requestState');
    return JSON.parse(Buffer.from(body, 'base64url').toString());
};

const CAPABILITY = { 'elicitation/create': 'elicitation', 'sampling/createMessage': 'sampling', 'roots/list': 'roots' };

/** Asks for what is missing among the inputs, as far as the client can be asked. */
async function gather(request, inputs, state) {
    if (!modern) {
        const possible = Object.entries(inputs).filter(([, input]) => CAPABILITY[input.method] in request.able);
        const answers = {};
        // With nothing that the client can be asked there is nothing to go on with, and the refusal says so.
        for (const [key, input] of possible.length ? possible : Object.entries(inputs)) answers[key] = await request.ask(input);
        return answers;
    }
    const given = request.params.inputResponses ?? {};
    if (Object.entries(inputs).every(([key, input]) => fits(input, given[key]))) return given;
    const able = request.params._meta?.[`${META}clientCapabilities`] ?? {};
    const possible = Object.entries(inputs).filter(([, input]) => CAPABILITY[input.method] in able);
    if (possible.length === 0) {
        const required = Object.fromEntries(Object.values(inputs).map(input => [CAPABILITY[input.method], {}]));
        throw new RpcError(-32021, 'The client lacks a capability', { requiredCapabilities: required }, 400);
    }
    throw { required: { resultType: 'input_required', inputRequests: Object.fromEntries(possible), ...state } };
}

function fits(input, answer) {
    if (typeof answer !== 'object' || answer === null) return false;
    if (input.method === 'roots/list') return Array.isArray(answer.roots);
    if (input.method === 'sampling/createMessage') return 'content' in answer;
    if (answer.action !== 'accept') return ['decline', 'cancel'].includes(answer.action);
    const { properties, required } = input.params.requestedSchema;
    const kind = value => (Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : typeof value);
    const is = (type, value) => type === kind(value) || (type === 'number' && typeof value === 'number');
    const right = ([key, value]) => !(key in properties) || is(properties[key].type, value);
    return required.every(key => key in (answer.content ?? {})) && Object.entries(answer.content ?? {}).every(right);
}

const enums = {
    untitledSingle: { ...string, enum: ['option1', 'option2', 'option3'] },
    titledSingle: { ...string, oneOf: [1, 2, 3].map(n => ({ const: `value${n}`, title: `Option ${n}` })) },
    legacyEnum: { ...string, enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
    untitledMulti: { type: 'array', minItems: 1, maxItems: 3, items: { ...string, enum: ['option1', 'option2', 'option3'] } },
    titledMulti: { type: 'array', minItems: 1, maxItems: 3, items: { anyOf: [1, 2, 3].map(n => ({ const: `value${n}`, title: `Choice ${n}` })) } },
};
const defaults = {
    name: { ...string, default: 'John Doe' },
    age: { type: 'integer', default: 30 },
    score: { type: 'number', default: 95.5 },
    status: { ...string, enum: ['active', 'inactive', 'pending'], default: 'active' },
    verified: { type: 'boolean', default: true },
};
const elicited = answer => text(`Elicitation completed: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
const asked = (input, answer) => async request => answer((await gather(request, { input })).input);

const tools = {
    test_simple_text: () => text('This is a simple text response for testing.'),
    test_image_content: () => ({ content: [{ type: 'image', data: PIXEL, mimeType: 'image/png' }] }),
    test_audio_content: () => ({ content: [{ type: 'audio', data: SILENCE, mimeType: 'audio/wav' }] }),
    test_embedded_resource: () => ({ content: [resource('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')] }),
    test_multiple_content_types: () => ({
        content: [
            { type: 'text', text: 'Multiple content types test:' },
            { type: 'image', data: PIXEL, mimeType: 'image/png' },
            resource('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
        ],
    }),
    test_tool_with_logging: logging,
    test_logging_tool: logging,
    test_tool_with_progress: async request => {
        const progressToken = request.params._meta?.progressToken;
        for (const progress of [0, 50, 100]) {
            if (progressToken !== undefined) request.say('notifications/progress', { progressToken, progress, total: 100 });
            await sleep(20);
        }
        return text('Done');
    },
    test_error_handling: () => ({ ...text('This tool intentionally returns an error for testing'), isError: true }),
    test_sampling: async request => {
        const { input } = await gather(request, { input: sampling(request.arguments.prompt ?? 'Hello') });
        return text(`LLM response: ${input.content?.text ?? ''}`);
    },
    test_elicitation: async request => {
        const { input } = await gather(request, { input: form(request.arguments.message ?? 'Hello?', { response: string }, []) });
        return text(`User response: action=${input.action}, content=${JSON.stringify(input.content ?? {})}`);
    },
    test_elicitation_sep1034_defaults: asked(form('Please review the defaults', defaults, []), elicited),
    test_elicitation_sep1330_enums: asked(form('Please select options', enums, []), elicited),
    json_schema_2020_12_tool: request => text(JSON.stringify(request.arguments)),
    test_missing_capability: async request => {
        const { input } = await gather(request, { input: sampling('Hello') });
        return text(`LLM response: ${input.content?.text ?? ''}`);
    },
    test_streaming_elicitation: async request => {
        request.say('notifications/message', { level: 'info', data: 'About to ask' }, 'info');
        const { input } = await gather(request, { input: form('Please confirm', { confirmed: { type: 'boolean' } }) });
        return elicited(input);
    },
    test_trigger_tool_change: () => changed('tools'),
    test_trigger_prompt_change: () => changed('prompts'),
    test_custom_headers: request => text(JSON.stringify(request.arguments)),
    test_input_required_result_elicitation: async request => {
        const { user_name: name } = await gather(request, { user_name: form('What is your name?', { name: string }) });
        return text(`Hello, ${name.content?.name ?? 'stranger'}!`);
    },
    test_input_required_result_sampling: async request => {
        const { capital_question: answer } = await gather(request, { capital_question: sampling('What is the capital of France?') });
        return text(answer.content?.text ?? '');
    },
    test_input_required_result_list_roots: async request => {
        const { client_roots: answer } = await gather(request, { client_roots: roots });
        return text(`Roots: ${(answer.roots ?? []).map(root => root.uri).join(', ')}`);
    },
    test_input_required_result_request_state: withState,
    test_input_required_result_tampered_state: withState,
    test_input_required_result_multiple_inputs: async request => {
        const inputs = { user_name: form('What is your name?', { name: string }), greeting: sampling('Generate a greeting', 50), client_roots: roots };
        if (modern && request.params.requestState !== undefined) opened(request.params.requestState);
        const { user_name: name, greeting } = await gather(request, inputs, { requestState: sealed({ all: true }) });
        return text(`${greeting.content?.text ?? 'Hello'}, ${name.content?.name ?? 'stranger'}`);
    },
    test_input_required_result_multi_round: async request => {
        const state = modern && request.params.requestState !== undefined ? opened(request.params.requestState) : { round: 1 };
        const one = { step1: form('Step 1: What is your name?', { name: string }) };
        const two = { step2: form('Step 2: What is your favorite color?', { color: string }) };
        if (state.round === 1) {
            const { step1 } = await gather(request, one, { requestState: sealed({ round: 1 }) });
            state.name = step1.content?.name;
        }
        const { step2 } = await gather(request, two, { requestState: sealed({ round: 2, name: state.name }) });
        return text(`${state.name} likes ${step2.content?.color}`);
    },
    test_input_required_result_capabilities: async request => {
        const able = request.params._meta?.[`${META}clientCapabilities`] ?? {};
        const inputs = {};
        if (!modern || 'elicitation' in able) inputs.ask_user = form('What is your name?', { name: string });
        if (!modern || 'sampling' in able) inputs.ask_model = sampling('Hello');
        if (Object.keys(inputs).length === 0) return text('The client can be asked nothing');
        await gather(request, inputs);
        return text('Everything was answered');
    },
};

async function logging(request) {
    for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
        request.say('notifications/message', { level: 'info', data }, 'info');
        await sleep(20);
    }
    return text('Tool with logging executed successfully');
}

async function withState(request) {
    if (modern && request.params.requestState !== undefined) opened(request.params.requestState);
    await gather(request, { confirm: form('Please confirm', { ok: { type: 'boolean' } }) }, { requestState: sealed({ nonce: randomUUID() }) });
    return text('state-ok: the state is the one that was given');
}

const extra = { tools: 0, prompts: 0 };
function changed(kind) {
    extra[kind] += 1;
    announce(`notifications/${kind}/list_changed`, {});
    return text(`The list of ${kind} has changed`);
}

const schemas = {
    json_schema_2020_12_tool: {
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        type: 'object',
        $defs: { address: { $anchor: 'addressDef', type: 'object', properties: { street: string, city: string } } },
        properties: { name: string, address: { $ref: '#/$defs/address' }, contactMethod: { ...string, enum: ['phone', 'email'] }, phone: string, email: string },
        allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
        if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
        then: { required: ['phone'] },
        else: { required: ['email'] },
        additionalProperties: false,
    },
    test_sampling: { type: 'object', properties: { prompt: string }, required: ['prompt'] },
    test_elicitation: { type: 'object', properties: { message: string }, required: ['message'] },
    test_custom_headers: {
        type: 'object',
        properties: { region: { ...string, 'x-mcp-header': 'Region' }, priority: { type: 'integer', 'x-mcp-header': 'Priority' } },
    },
};

const prompts = {
    test_simple_prompt: { answer: () => [user({ type: 'text', text: 'This is a simple prompt for testing.' })] },
    test_prompt_with_arguments: {
        arguments: ['arg1', 'arg2'],
        answer: ({ arg1, arg2 }) => [user({ type: 'text', text: `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'` })],
    },
    test_prompt_with_embedded_resource: {
        arguments: ['resourceUri'],
        answer: ({ resourceUri }) => [
            user(resource(resourceUri, 'text/plain', 'Embedded resource content for testing.')),
            user({ type: 'text', text: 'Please process the embedded resource above.' }),
        ],
    },
    test_prompt_with_image: {
        answer: () => [
            user({ type: 'image', data: PIXEL, mimeType: 'image/png' }),
            user({ type: 'text', text: 'Please analyze the image above.' }),
        ],
    },
    test_input_required_result_prompt: {
        answer: async (_, request) => {
            const { user_context: context } = await gather(request, { user_context: form('What context?', { context: string }) });
            return [user({ type: 'text', text: `Prompt with context: ${context.content?.context}` })];
        },
    },
};

const resources = {
    'test://static-text': { mimeType: 'text/plain', text: 'This is the content of the static text resource.' },
    'test://static-binary': { mimeType: 'image/png', blob: PIXEL },
    'test://watched-resource': { mimeType: 'text/plain', text: 'Watched resource content' },
    'test://example-resource': { mimeType: 'text/plain', text: 'An example.' },
};

const described = { tools: {}, prompts: {}, resources: {}, completions: {}, logging: {} };
const capabilities = { ...described, tools: { listChanged: true }, prompts: { listChanged: true }, resources: { listChanged: true, subscribe: true } };
const serverInfo = { name: 'conformance-fixture', version: '1.0.0' };
const kept = result => (modern ? { ttlMs: 60000, cacheScope: 'public', ...result } : result);
const more = (kind, item) => Array.from({ length: extra[kind] }, (_, n) => item(`added_${n + 1}`));

const methods = {
    'tools/list': () => {
        const tool = name => ({ name, description: `Conformance: ${name}`, inputSchema: schemas[name] ?? { type: 'object', properties: {} } });
        return kept({ tools: [...Object.keys(tools).map(tool), ...more('tools', tool)] });
    },
    'tools/call': async request => {
        const tool = Object.hasOwn(tools, request.params.name) && tools[request.params.name];
        if (!tool) throw new RpcError(-32602, `Unknown tool: ${request.params.name}`);
        return tool(request);
    },
    'prompts/list': () => {
        const listed = ([name, prompt]) => ({
            name,
            description: `Conformance: ${name}`,
            arguments: (prompt.arguments ?? []).map(argument => ({ name: argument, description: argument, required: true })),
        });
        return kept({ prompts: [...Object.entries(prompts).map(listed), ...more('prompts', name => ({ name, description: 'Added while running' }))] });
    },
    'prompts/get': async request => {
        const prompt = Object.hasOwn(prompts, request.params.name) && prompts[request.params.name];
        if (!prompt) throw new RpcError(-32602, `Unknown prompt: ${request.params.name}`);
        return { messages: await prompt.answer(request.arguments, request) };
    },
    'resources/list': () =>
        kept({ resources: Object.entries(resources).map(([uri, { mimeType }]) => ({ uri, name: uri.slice(7), description: `Conformance: ${uri}`, mimeType })) }),
    'resources/templates/list': () =>
        kept({ resourceTemplates: [{ uriTemplate: 'test://template/{id}/data', name: 'template', description: 'Conformance', mimeType: 'application/json' }] }),
    'resources/read': ({ params: { uri } }) => {
        const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
        if (id) return kept({ contents: [{ uri, mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }] });
        if (!Object.hasOwn(resources, uri)) throw new RpcError(modern ? -32602 : -32002, `Resource not found: ${uri}`, { uri });
        return kept({ contents: [{ uri, ...resources[uri] }] });
    },
    'completion/complete': () => ({ completion: { values: ['paris', 'park', 'party'], total: 3, hasMore: false } }),
};
if (modern) {
    methods['server/discover'] = () =>
        kept({ supportedVersions: [MODERN], capabilities, serverInfo, instructions: 'A fixture.' });
} else {
    methods.ping = () => ({});
    methods['logging/setLevel'] = () => ({});
    methods['resources/subscribe'] = () => ({});
    methods['resources/unsubscribe'] = () => ({});
}

// Streams that hear of changes, and requests that wait for an answer of the client.
const listeners = new Set();
const waiting = new Map();
/** What the client of each session can be asked. */
const sessions = new Map();
const announce = (method, params) => listeners.forEach(listener => listener(method, params));

const stream = response => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    return message => response.write(`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
};

function json(response, status, message, headers = {}) {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify({ jsonrpc: '2.0', ...message }));
}

const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

async function answer(message, headers, response) {
    const params = message.params ?? {};
    const request = {
        params,
        arguments: params.arguments ?? {},
        able: sessions.get(headers['mcp-session-id']) ?? {},
        say: (method, said, level) => {
            const least = LEVELS.indexOf(params._meta?.[`${META}logLevel`]);
            if (modern && level && (least < 0 || LEVELS.indexOf(level) < least)) return;
            stream(response)({ method, params: said });
        },
        ask: async input => {
            const id = randomUUID();
            const answered = new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
            stream(response)({ id, ...input });
            return answered;
        },
    };
    const method = Object.hasOwn(methods, message.method) && methods[message.method];
    if (!method) throw new RpcError(-32601, `Method not found: ${message.method}`, undefined, modern ? 404 : 200);
    const result = await method(request);
    return modern ? { resultType: 'complete', ...result, _meta: { [`${META}serverInfo`]: serverInfo, ...result._meta } } : result;
}

/** What every request of the modern era has to say (2026-07-28, Streamable HTTP, Server Validation). */
function check(message, headers) {
    const meta = message.params?._meta;
    const version = meta?.[`${META}protocolVersion`];
    if (typeof version !== 'string' || typeof meta[`${META}clientCapabilities`] !== 'object') {
        throw new RpcError(-32602, 'Invalid params: `_meta` is not whole', undefined, 400);
    }
    const same = (header, value) => {
        if (headers[header] !== value) throw new RpcError(-32020, `Header mismatch: ${header}`, undefined, 400);
    };
    same('mcp-protocol-version', version);
    if (version !== MODERN) throw new RpcError(-32022, 'Unsupported protocol version', { supported: [MODERN], requested: version }, 400);
    same('mcp-method', message.method);
    const name = { 'tools/call': 'name', 'prompts/get': 'name', 'resources/read': 'uri' }[message.method];
    if (name) same('mcp-name', message.params[name]);
}

function listen(message, response) {
    const id = message.id;
    const wanted = message.params.notifications ?? {};
    const write = stream(response);
    const say = (method, params) => write({ method, params: { _meta: { [`${META}subscriptionId`]: id }, ...params } });
    const members = { 'notifications/tools/list_changed': 'toolsListChanged', 'notifications/prompts/list_changed': 'promptsListChanged' };
    say('notifications/subscriptions/acknowledged', { notifications: wanted });
    const listener = (method, params) => wanted[members[method]] && say(method, params);
    listeners.add(listener);
    response.on('close', () => listeners.delete(listener));
}

async function post(request, response, body) {
    let message;
    try {
        message = JSON.parse(body);
    } catch {
        return json(response, 400, { error: { code: -32700, message: 'Parse error' } });
    }
    const { id, method } = message;
    const session = request.headers['mcp-session-id'];
    const outside = !modern && method !== 'initialize' && !sessions.has(session);
    if (outside) return json(response, session ? 404 : 400, { id, error: { code: -32000, message: 'No session' } });
    if (method === undefined) {
        const asked = waiting.get(id);
        waiting.delete(id);
        message.error ? asked?.reject(new Error(message.error.message)) : asked?.resolve(message.result);
        return response.writeHead(202).end();
    }
    if (id === undefined) return response.writeHead(202).end();
    if (method === 'initialize' && !modern) {
        const begun = randomUUID();
        sessions.set(begun, message.params?.capabilities ?? {});
        return json(response, 200, { id, result: { protocolVersion: OLD, capabilities, serverInfo } }, { 'mcp-session-id': begun });
    }
    let end;
    let status = 200;
    try {
        if (modern) check(message, request.headers);
        if (modern && method === 'subscriptions/listen') return listen(message, response);
        end = { id, result: await answer(message, request.headers, response) };
    } catch (error) {
        if (error.required) end = { id, result: error.required };
        else end = { id, error: { code: error.code ?? -32603, message: error.message, data: error.data } };
        status = error.status ?? 200;
    }
    if (!response.headersSent) return json(response, status, end);
    stream(response)(end);
    response.end();
}

const server = createServer((request, response) => {
    const origin = request.headers.origin;
    const local = host => /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(host ?? '');
    if (!local(request.headers.host) || (origin && !local(origin.replace(/^https?:\/\//, '')))) {
        return json(response, 403, { error: { code: -32000, message: 'Forbidden' } });
    }
    if (request.method === 'POST') {
        let body = '';
        request.on('data', chunk => (body += chunk));
        return request.on('end', () => post(request, response, body));
    }
    const session = request.headers['mcp-session-id'];
    if (modern || !sessions.has(session)) return response.writeHead(modern ? 405 : 400, { allow: 'POST' }).end();
    if (request.method === 'DELETE') {
        sessions.delete(session);
        return response.writeHead(204).end();
    }
    const write = stream(response);
    response.flushHeaders();
    const listener = (method, params) => write({ method, params });
    listeners.add(listener);
    response.on('close', () => listeners.delete(listener));
});
server.listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/mcp`));
