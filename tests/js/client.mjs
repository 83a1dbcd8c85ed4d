// What a person does with the official client, printed as one JSON object for tests/test_serve_clients.py.
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0, timeout: 10_000 });
const said = (content) => [{ role: "user", content }];
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];

async function failure(run) {
  try {
    await run();
  } catch (error) {
    return [error.constructor.name, error.status, error.code].filter(Boolean).join(" ");
  }
  return "no error";
}

const { data, response } = await client.chat.completions
  .create({ model: "mayor", messages: said("say good morning") })
  .withResponse();

let streamed = "";
for await (const part of await client.chat.completions.create({ model: "mayor", messages: said("say a b"), stream: true })) {
  streamed += part.choices[0]?.delta?.content ?? "";
}

const runner = client.chat.completions.stream({ model: "mayor", messages: said("call weather"), tools });
const call = (await runner.finalChatCompletion()).choices[0].message.tool_calls[0].function;

const names = [];
for await (const model of client.models.list()) names.push(model.id);

const ask = (model, content, more = {}) => client.chat.completions.create({ model, messages: said(content), ...more });
const stranger = new OpenAI({ apiKey: "sk-of-somebody-else-entirely", maxRetries: 0 });
const errors = {
  key: await failure(() => stranger.models.list()),
  model: (await failure(() => ask("alderman", "say hi"))).replace(/ model$/, ""),
  role: (await failure(() => ask("crew", "say hi"))).split(" ").slice(0, 2).join(" "),
  field: (await failure(() => ask("mayor", "say hi", { lora: [] }))).split(" ").slice(0, 2).join(" "),
};
try {
  for await (const part of await ask("mayor", "die after 2", { stream: true })) void part;
  errors.broken = "no error";
} catch (error) {
  errors.broken = `${error.constructor.name} ${error.error?.message ?? error.message}`;
}
errors.key = errors.key.split(" ").slice(0, 2).join(" ");

console.log(
  JSON.stringify({
    text: data.choices[0].message.content,
    version: response.headers.get("x-forge-model"),
    streamed,
    tool: { name: call.name, arguments: JSON.parse(call.arguments) },
    models: names.includes("mayor@v2"),
    errors,
  }),
);
