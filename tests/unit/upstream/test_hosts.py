import pytest

from qwen_worker.upstream.hosts import host_family


@pytest.mark.parametrize(
    ("base_url", "family"),
    [
        ("https://portal.qwen.ai/v1", "portal"),
        ("https://Portal.Qwen.AI/v1", "portal"),
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", "dashscope"),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "dashscope"),
        ("https://dashscope-us.aliyuncs.com/compatible-mode/v1", "dashscope"),
        ("https://coding.dashscope.aliyuncs.com/v1", "dashscope"),
        ("https://coding-intl.dashscope.aliyuncs.com/v1", "dashscope"),
        ("https://ws-1.cn-beijing.maas.aliyuncs.com/compatible-mode/v1", "dashscope"),
        ("https://token-plan.ap-southeast-1.maas.aliyuncs.com/compatible-mode/v1", "dashscope"),
        ("https://api-inference.modelscope.cn/v1", "other"),
        ("https://api.openai.com/v1", "other"),
        ("http://127.0.0.1:8080/v1", "other"),
        ("https://oss.aliyuncs.com/v1", "other"),
        ("https://dashscope.aliyuncs.com.evil.example/v1", "other"),
        ("https://evil-portal.qwen.ai.example/v1", "other"),
        ("https://notdashscope.aliyuncs.com/v1", "other"),
        ("https://evil.example/portal.qwen.ai/v1", "other"),
        ("https://portal.qwen.ai@evil.example/v1", "other"),
    ],
)
def test_the_family_is_told_by_the_host_alone(base_url: str, family: str) -> None:
    assert host_family(base_url) == family
