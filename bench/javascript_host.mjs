// Runs a JavaScript Worker in Node.js with the host of tests/production, as that runs a Python Worker.
//
//   node javascript_host.mjs '{"module": FILE, "variables": {...}}'
//
// Prints {"port": ...} and ends with its standard input.

import { listen } from "../tests/production/host/http_server.mjs";
import { followTimers } from "../tests/production/host/requests.mjs";
import { install } from "../tests/production/host/workerd_globals.mjs";

const { module, variables } = JSON.parse(process.argv[2]);
process.stdin.resume().on("end", () => process.exit(0));
install();
followTimers();
const worker = await import(module);
console.log(JSON.stringify({ port: await listen((request) => worker.default.fetch(request, variables)) }));
