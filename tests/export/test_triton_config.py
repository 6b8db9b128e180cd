"""config.pbtxt: what Triton itself reads out of it."""

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from export.contract import (
    EMBEDDING_OUTPUT,
    LABELS_OUTPUT,
    MAX_BATCH_SIZE,
    PROMPT_INPUT,
    SCORES_OUTPUT,
    STREAM_INPUT,
    TEXT_ENCODER_BACKEND,
    TEXT_GENERATOR_BACKEND,
    TEXT_INPUT,
    TEXT_OUTPUT,
    TOKEN_COUNT_OUTPUT,
)
from export.triton_config import (
    embedding_dimension,
    encoder_config,
    generator_config,
    intent_config,
    stated_backend,
    states_output,
    vllm_config,
)


def test_triton_reads_the_tensors_and_the_backend_that_the_contract_names():
    config = text_format.Parse(encoder_config("my-model", 384), model_config_pb2.ModelConfig())
    assert (config.name, config.backend) == ("my-model", TEXT_ENCODER_BACKEND)
    assert config.max_batch_size == MAX_BATCH_SIZE
    assert [(item.name, item.data_type, list(item.dims)) for item in config.input] == [
        (TEXT_INPUT, model_config_pb2.TYPE_STRING, [1])]
    assert [(item.name, item.data_type, list(item.dims)) for item in config.output] == [
        (EMBEDDING_OUTPUT, model_config_pb2.TYPE_FP32, [384]), (TOKEN_COUNT_OUTPUT, model_config_pb2.TYPE_INT32, [1])]


def test_an_intent_model_leaves_open_how_many_labels_its_versions_have():
    config = text_format.Parse(intent_config("intent"), model_config_pb2.ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == ("intent", TEXT_ENCODER_BACKEND, MAX_BATCH_SIZE)
    assert [(item.name, item.data_type, list(item.dims)) for item in config.output] == [
        (SCORES_OUTPUT, model_config_pb2.TYPE_FP32, [-1]), (LABELS_OUTPUT, model_config_pb2.TYPE_STRING, [-1]),
        (TOKEN_COUNT_OUTPUT, model_config_pb2.TYPE_INT32, [1])]


def test_which_outputs_a_config_has_is_read_back():
    assert states_output(intent_config("intent"), SCORES_OUTPUT)
    assert not states_output(intent_config("intent"), EMBEDDING_OUTPUT)
    assert states_output('output [ { dims: [ 8 ] name:"embedding" } ]', EMBEDDING_OUTPUT)
    assert not states_output(encoder_config("scores", 8), SCORES_OUTPUT)  # a model of that name has no such output


def test_triton_batches_without_making_a_lone_request_wait():
    config = text_format.Parse(encoder_config("m", 8), model_config_pb2.ModelConfig())
    assert config.HasField("dynamic_batching")
    assert config.dynamic_batching.max_queue_delay_microseconds == 0
    assert [group.kind for group in config.instance_group] == [model_config_pb2.ModelInstanceGroup.KIND_CPU]


def test_the_dimension_is_read_back_from_what_was_written():
    assert embedding_dimension(encoder_config("m", 768)) == 768


def test_the_dimension_is_read_from_a_file_that_people_laid_out_anew():
    config = 'output [\n {\n  name: "token_count"\n  dims: [ 1 ]\n },\n {\n  name: "embedding"\n  dims:[96]\n }\n]'
    assert embedding_dimension(config) == 96


def test_a_config_without_embedding_states_no_dimension():
    assert embedding_dimension('name: "m"\noutput [ { name: "token_count" dims: [ 1 ] } ]') is None


def test_a_generator_is_decoupled_and_every_input_may_be_left_out():
    config = text_format.Parse(generator_config("chat"), model_config_pb2.ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == ("chat", TEXT_GENERATOR_BACKEND, 0)
    assert config.model_transaction_policy.decoupled
    inputs = {item.name: item for item in config.input}
    assert all(item.optional and list(item.dims) == [1] for item in inputs.values())
    assert inputs[PROMPT_INPUT].data_type == model_config_pb2.TYPE_STRING
    assert inputs[STREAM_INPUT].data_type == model_config_pb2.TYPE_BOOL
    assert TEXT_OUTPUT in [item.name for item in config.output]


def test_a_generator_for_vllm_has_the_tensors_of_nvidias_backend_and_leaves_devices_to_it():
    config = text_format.Parse(vllm_config("writer"), model_config_pb2.ModelConfig())
    assert (config.backend, config.max_batch_size) == ("vllm", 0)
    assert config.model_transaction_policy.decoupled
    assert [group.kind for group in config.instance_group] == [model_config_pb2.ModelInstanceGroup.KIND_MODEL]
    assert {item.name: item.optional for item in config.input} == {
        "text_input": False, "stream": True, "sampling_parameters": True, "exclude_input_in_output": True,
        "return_finish_reason": True, "return_cumulative_logprob": True, "return_logprobs": True,
        "return_num_input_tokens": True, "return_num_output_tokens": True}
    assert {item.name: list(item.dims) for item in config.output} == {
        "text_output": [-1], "finish_reason": [-1], "cumulative_logprob": [-1], "logprobs": [-1],
        "num_input_tokens": [1], "num_output_tokens": [-1]}


def test_the_backend_is_read_back():
    assert stated_backend(vllm_config("m")) == "vllm"
    assert stated_backend(generator_config("my_backend")) == TEXT_GENERATOR_BACKEND
    assert stated_backend('name: "m"') is None
