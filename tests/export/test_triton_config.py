"""config.pbtxt: what Triton itself reads out of it."""

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from export.contract import (
    EMBEDDING_OUTPUT,
    MAX_BATCH_SIZE,
    TEXT_ENCODER_BACKEND,
    TEXT_INPUT,
    TOKEN_COUNT_OUTPUT,
)
from export.triton_config import embedding_dimension, encoder_config


def test_triton_reads_the_tensors_and_the_backend_that_the_contract_names():
    config = text_format.Parse(encoder_config("my-model", 384), model_config_pb2.ModelConfig())
    assert (config.name, config.backend) == ("my-model", TEXT_ENCODER_BACKEND)
    assert config.max_batch_size == MAX_BATCH_SIZE
    assert [(item.name, item.data_type, list(item.dims)) for item in config.input] == [
        (TEXT_INPUT, model_config_pb2.TYPE_STRING, [1])]
    assert [(item.name, item.data_type, list(item.dims)) for item in config.output] == [
        (EMBEDDING_OUTPUT, model_config_pb2.TYPE_FP32, [384]), (TOKEN_COUNT_OUTPUT, model_config_pb2.TYPE_INT32, [1])]


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
