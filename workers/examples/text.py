"""A worker of the service `text`: any server that speaks OpenAI's chat completions writes the text.

Settings: OPENAI_BASE_URL, such as http://127.0.0.1:11434/v1, OPENAI_MODEL, and OPENAI_API_KEY if the server wants one.
"""

import os

from workers.kit import Step, Worker, post_json, transient

worker = Worker("text")


@worker.handles("text")
async def write(step: Step) -> str:
    """The model's answer to the payload's `prompt`."""
    url = f"{os.environ['OPENAI_BASE_URL']}/chat/completions"
    headers = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', '')}"}
    message = {"role": "user", "content": step.field("prompt", str)}
    request = {"model": os.environ["OPENAI_MODEL"], "messages": [message]}
    answer = await step.retry(lambda: post_json(url, request, headers=headers, what="model"))
    try:
        return str(answer["choices"][0]["message"]["content"])
    except (KeyError, IndexError, TypeError) as error:
        raise transient("UNAVAILABLE", "model: the answer has no text") from error


if __name__ == "__main__":
    worker.run()
